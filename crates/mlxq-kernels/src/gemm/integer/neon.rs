//! NEON: what its two kernels have in common.
//!
//! Sixteen bytes of a panel are a quad of four columns, just what Arm's products of bytes take. An
//! activation of 16 bits goes in as two signed bytes ([`split`]). A tile of six rows and eight columns
//! keeps 24 registers of integer sums, which leaves eight for codes and activations; a tile of one or
//! two rows has sixteen columns, so that its sums wait less for each other. The sums of floats stay in
//! the nearest cache.
//!
//! The intrinsics for products of bytes are not stable yet: assembly stands for them.

use std::arch::aarch64::*;

use super::super::codes::{COLUMNS, Group, Panel, Words};
use super::tiles::Tile;
use super::{IntegerRows, Sums};

/// Bytes of a register.
pub(super) type Bytes = [i8; 16];

/// Intrinsics of the baseline.
macro_rules! neon {
    ($($code:tt)*) => {
        // SAFETY: the target's baseline has Advanced SIMD, and pointers come from arrays of the size
        // that is read or written.
        unsafe { $($code)* }
    };
}

/// The products of bytes of one instruction set, with activations of type `T`.
pub(super) trait Dot<T>: Copy {
    /// What is taken from each code.
    const OFFSET: i32;

    /// `starts[r] +` the sum of `a * (code - OFFSET)` over a group, for the `4 * C` columns from `4 * first`
    /// on. `rows` holds the activations of `R` rows as [`IntegerRows::bytes`] has them.
    ///
    /// It must be `#[inline(always)]`, as [`Tile::tile`] must.
    fn dot<const R: usize, const C: usize>(
        self,
        words: &[Words],
        first: usize,
        rows: [&[Bytes]; R],
        starts: [i32; R],
    ) -> [[int32x4_t; C]; R];
}

/// Integers that activations become.
pub(super) trait Activation: Copy {
    /// The scale of a row's group, if it has one of its own, and the sum of its integers.
    fn group(rows: &IntegerRows<Self>, row: usize, group: usize) -> (Option<f32>, i32);

    /// The scale of a row, if it has one of its own.
    fn row_scale(rows: &IntegerRows<Self>, row: usize) -> Option<f32>;
}

impl Activation for i16 {
    #[inline(always)]
    fn group(rows: &IntegerRows<Self>, row: usize, group: usize) -> (Option<f32>, i32) {
        // At most 128 * 32639 in magnitude, which f32 holds exactly.
        (None, rows.sum(row, group) as i32)
    }

    #[inline(always)]
    fn row_scale(rows: &IntegerRows<Self>, row: usize) -> Option<f32> {
        Some(rows.scale(row))
    }
}

impl Activation for i8 {
    #[inline(always)]
    fn group(rows: &IntegerRows<Self>, row: usize, group: usize) -> (Option<f32>, i32) {
        let mut total = 0;
        for bytes in rows.bytes(row, group) {
            total += i32::from(neon!(vaddlvq_s8(load(bytes))));
        }
        (Some(rows.scale(row, group)), total)
    }

    #[inline(always)]
    fn row_scale(_: &IntegerRows<Self>, _: usize) -> Option<f32> {
        None
    }
}

/// A group of a tile's rows.
#[derive(Debug, Clone, Copy)]
struct Part<'a, const R: usize> {
    /// The activations, a group of each row.
    bytes: [&'a [Bytes]; R],
    /// What the integer sums start at, to make good what is taken from each code.
    starts: [i32; R],
    scales: [Option<f32>; R],
    sums: [f32; R],
}

impl<'a, const R: usize> Part<'a, R> {
    #[inline(always)]
    fn of<T: Activation>(
        rows: &IntegerRows<'a, T>,
        first: usize,
        place: usize,
        offset: i32,
    ) -> Self {
        let nothing: [&[Bytes]; R] = [&[]; R];
        let mut part = Self { bytes: nothing, starts: [0; R], scales: [None; R], sums: [0.0; R] };
        for r in 0..R {
            let (scale, total) = T::group(rows, first + r, place);
            part.bytes[r] = rows.bytes(first + r, place);
            part.starts[r] = offset.wrapping_mul(total);
            part.scales[r] = scale;
            part.sums[r] = rows.sum(first + r, place);
        }
        part
    }
}

impl<T: Activation, D: Dot<T>> Tile<T> for D {
    const ROWS: usize = 6;

    #[inline(always)]
    fn tile<const R: usize>(
        self,
        panel: Panel,
        rows: IntegerRows<T>,
        first: usize,
        out: &mut [Sums; R],
    ) {
        let quads = panel.words_per_group();
        *out = [[0.0; COLUMNS]; R];
        for (place, group) in panel.groups.iter().enumerate() {
            let words = &panel.words[place * quads..][..quads];
            let part = Part::of(&rows, first, place, D::OFFSET);
            if R <= 2 {
                add::<T, D, R, 4>(self, words, group, &part, out);
            } else {
                add::<T, D, R, 2>(self, words, group, &part, out);
            }
        }
        for (r, out) in out.iter_mut().enumerate() {
            if let Some(scale) = T::row_scale(&rows, first + r) {
                for x in out {
                    *x *= scale;
                }
            }
        }
    }
}

/// Adds a group's part of the products to `out`, for `4 * C` columns at a time.
#[inline(always)]
fn add<T, D: Dot<T>, const R: usize, const C: usize>(
    kernel: D,
    words: &[Words],
    group: &Group,
    part: &Part<R>,
    out: &mut [Sums; R],
) {
    for first in (0..COLUMNS / 4).step_by(C) {
        let integers = kernel.dot::<R, C>(words, first, part.bytes, part.starts);
        for (c, place) in (first..first + C).enumerate() {
            let scales = &group.scales.as_chunks::<4>().0[place];
            let biases = &group.biases.as_chunks::<4>().0[place];
            let (scales, biases) = neon!((vld1q_f32(scales.as_ptr()), vld1q_f32(biases.as_ptr())));
            for r in 0..R {
                let out = &mut out[r].as_chunks_mut::<4>().0[place];
                neon! {{
                    let mut number = vcvtq_f32_s32(integers[r][c]);
                    if let Some(scale) = part.scales[r] {
                        number = vmulq_n_f32(number, scale);
                    }
                    let scaled = vfmaq_f32(vld1q_f32(out.as_ptr()), number, scales);
                    vst1q_f32(out.as_mut_ptr(), vfmaq_n_f32(scaled, biases, part.sums[r]));
                }}
            }
        }
    }
}

/// The codes of a quad, for the columns from `4 * first` on.
#[inline(always)]
pub(super) fn load_codes<const C: usize>(words: &Words, first: usize) -> [int8x16_t; C] {
    let words = &words.as_chunks::<4>().0[first..][..C];
    let mut codes = [neon!(vdupq_n_s8(0)); C];
    for c in 0..C {
        codes[c] = neon!(vreinterpretq_s8_u32(vld1q_u32(words[c].as_ptr())));
    }
    codes
}

/// Activations of a row.
#[inline(always)]
pub(super) fn load(bytes: &Bytes) -> int8x16_t {
    neon!(vld1q_s8(bytes.as_ptr()))
}

/// Integers of 16 bits within ±32639 as signed bytes, `256 * high + low`: for every eight the high bytes,
/// then the low ones, each in the order in which quads lie in the weights' words.
pub(super) fn split(values: &[i16], bytes: &mut [Bytes]) {
    /// Places of the high bytes in the first register, and of the low ones in the second.
    const PLACES: [u8; 16] = [1, 5, 3, 7, 9, 13, 11, 15, 16, 20, 18, 22, 24, 28, 26, 30];
    let places = neon!(vld1q_u8(PLACES.as_ptr()));
    for (values, bytes) in values.as_chunks::<8>().0.iter().zip(bytes) {
        neon! {{
            let low = vld1q_s16(values.as_ptr());
            // A low byte is taken as signed, so the high one is that of the nearest multiple of 256.
            let high = vaddq_s16(low, vdupq_n_s16(128));
            let both = int8x16x2_t(vreinterpretq_s8_s16(high), vreinterpretq_s8_s16(low));
            vst1q_s8(bytes.as_mut_ptr(), vqtbl2q_s8(both, places));
        }}
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::*;
    use crate::isa::Isa;

    /// Where `MLXQ_KERNELS` says what the machine should have, as the test suite does for the machines
    /// that it emulates, no kernel goes untested because it was not found.
    #[test]
    #[expect(clippy::print_stderr, reason = "a test that does not run says so")]
    fn the_kernels_are_those_the_machine_should_have() {
        let Ok(wanted) = std::env::var("MLXQ_KERNELS") else {
            eprintln!("not tested: MLXQ_KERNELS does not say what to expect");
            return;
        };
        let found = Kernel::available(Isa::current());
        let found: Vec<&str> = found.into_iter().map(Kernel::name).collect();
        assert_eq!(found.join(" "), wanted);
    }

    /// By hand: 32639 = 256 * 127 + 127, 200 = 256 - 56, -129 = -256 + 127, 128 = 256 - 128.
    #[test]
    fn bytes_are_signed_and_lie_as_the_codes_do() {
        let mut bytes = [[0; 16]];
        split(&[32639, 200, -129, -32639, 128, 127, -128, 0], &mut bytes);
        let (high, low) =
            ([127, -1, 1, -127, 1, 0, 0, 0], [127, 127, -56, -127, -128, -128, 127, 0]);
        assert_eq!(bytes[0][..8], high);
        assert_eq!(bytes[0][8..], low);
    }
}
