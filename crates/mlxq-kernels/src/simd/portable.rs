//! Plain Rust, for machines without an implementation of their own, and what the others are held against.

use super::{LANES, Pick, Simd};
use crate::float;

/// Arrays of numbers, in whatever registers the compiler finds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

/// Sixteen results of `of`.
#[inline(always)]
fn each(mut of: impl FnMut(usize) -> f32) -> [f32; LANES] {
    let mut numbers = [0.0; LANES];
    for (lane, number) in numbers.iter_mut().enumerate() {
        *number = of(lane);
    }
    numbers
}

/// Reads sixteen halves, each widened by `widen`.
#[inline(always)]
fn load_halves(bytes: &[u8; 32], widen: impl Fn(u16) -> f32) -> [f32; LANES] {
    let halves = bytes.as_chunks::<2>().0;
    each(|lane| widen(u16::from_le_bytes(halves[lane])))
}

/// Writes sixteen halves, each narrowed by `narrow`.
#[inline(always)]
fn store_halves(numbers: [f32; LANES], bytes: &mut [u8; 32], narrow: impl Fn(f32) -> u16) {
    for (half, number) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
        *half = narrow(number).to_le_bytes();
    }
}

impl Simd for Portable {
    type Floats = [f32; LANES];

    #[inline(always)]
    fn splat(self, number: f32) -> Self::Floats {
        [number; LANES]
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> Self::Floats {
        let numbers = bytes.as_chunks::<4>().0;
        each(|lane| f32::from_le_bytes(numbers[lane]))
    }

    #[inline(always)]
    fn store(self, numbers: Self::Floats, bytes: &mut [u8; 64]) {
        for (bytes, number) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
            *bytes = number.to_le_bytes();
        }
    }

    #[inline(always)]
    fn load_f16(self, bytes: &[u8; 32]) -> Self::Floats {
        load_halves(bytes, float::from_f16)
    }

    #[inline(always)]
    fn store_f16(self, numbers: Self::Floats, bytes: &mut [u8; 32]) {
        store_halves(numbers, bytes, float::to_f16);
    }

    #[inline(always)]
    fn round_f16(self, numbers: Self::Floats) -> Self::Floats {
        each(|lane| float::from_f16(float::to_f16(numbers[lane])))
    }

    #[inline(always)]
    fn load_bf16(self, bytes: &[u8; 32]) -> Self::Floats {
        load_halves(bytes, float::from_bf16)
    }

    #[inline(always)]
    fn store_bf16(self, numbers: Self::Floats, bytes: &mut [u8; 32]) {
        store_halves(numbers, bytes, float::to_bf16);
    }

    #[inline(always)]
    fn round_bf16(self, numbers: Self::Floats) -> Self::Floats {
        each(|lane| float::from_bf16(float::to_bf16(numbers[lane])))
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        each(|lane| a[lane] - b[lane])
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        each(|lane| a[lane] / b[lane])
    }

    #[inline(always)]
    fn least(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        each(|lane| if a[lane] < b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn greatest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        each(|lane| if a[lane] > b[lane] { a[lane] } else { b[lane] })
    }

    #[inline(always)]
    fn largest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        each(|lane| {
            let [a, b] = [a[lane], b[lane]].map(|x| (x.to_bits() & 0x7fff_ffff) as i32);
            f32::from_bits(if a > b { a } else { b } as u32)
        })
    }

    #[inline(always)]
    fn reduce_rows<P: Pick>(self, rows: &[Self::Floats; LANES], pick: P) -> Self::Floats {
        // Column by column of the transposed matrix: sixteen rows at once.
        let column = |column: usize| each(|row| rows[row][column]);
        let mut reduced = column(0);
        for next in 1..LANES {
            reduced = pick.pick(self, column(next), reduced);
        }
        reduced
    }

    #[inline(always)]
    fn store_codes(self, numbers: Self::Floats, limit: Self::Floats, codes: &mut [u8; LANES]) {
        // Adding 1.5 * 2^23 leaves the nearest integer, ties to even, of any number in 0..=255 in the
        // lowest bits; `round_ties_even` is a call without SSE4.1.
        const NEAREST: f32 = 12_582_912.0;
        let clamped = self.least(self.greatest(numbers, [0.0; LANES]), limit);
        for (code, number) in codes.iter_mut().zip(clamped) {
            *code = (number + NEAREST).to_bits() as u8;
        }
    }
}
