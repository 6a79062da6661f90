//! Vectors of sixteen numbers, with one implementation per instruction set.
//!
//! A kernel is written once, as [`Work`] over any [`Simd`]; [`Isa::run`](crate::isa::Isa::run) compiles
//! it for each instruction set. Sixteen numbers are one register of AVX-512, two of AVX2 and four of
//! NEON, so that all loops have the same shape and all results the same bits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod number;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use number::{Bf16, F16, F32, Number, load_as, with_numbers};
pub(crate) use portable::Portable;

/// Numbers of a vector.
pub(crate) const LANES: usize = 16;

/// A computation that runs on any instruction set.
///
/// `run` and all that it calls with the vectors must be `#[inline(always)]`: only what is inlined
/// into the entry of an instruction set is compiled for it.
pub(crate) trait Work {
    type Output;

    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// What the kernels need of an instruction set. Every operation is IEEE 754 with one rounding, to
/// the nearest and ties to even; all implementations give the same bits, except those of NaNs.
pub(crate) trait Simd: Copy {
    /// Sixteen f32.
    type Floats: Copy;

    /// Sixteen times `number`.
    fn splat(self, number: f32) -> Self::Floats;

    /// Reads little-endian f32.
    fn load(self, bytes: &[u8; 64]) -> Self::Floats;

    /// Writes little-endian f32.
    fn store(self, numbers: Self::Floats, bytes: &mut [u8; 64]);

    /// Reads little-endian f16, exactly; NaNs come out quiet.
    fn load_f16(self, bytes: &[u8; 32]) -> Self::Floats;

    /// Writes the nearest f16, little-endian; NaNs become 7D00 with their sign, as in MLX.
    fn store_f16(self, numbers: Self::Floats, bytes: &mut [u8; 32]);

    /// The nearest f16.
    fn round_f16(self, numbers: Self::Floats) -> Self::Floats;

    /// Reads little-endian bf16, exactly.
    fn load_bf16(self, bytes: &[u8; 32]) -> Self::Floats;

    /// Writes the nearest bf16, little-endian; NaNs become 7FC0, as in MLX.
    fn store_bf16(self, numbers: Self::Floats, bytes: &mut [u8; 32]);

    /// The nearest bf16.
    fn round_bf16(self, numbers: Self::Floats) -> Self::Floats;

    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// `a` where it is less than `b`, else `b`; so a NaN in `a` gives `b`.
    fn least(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// `a` where it is greater than `b`, else `b`; so a NaN in `a` gives `b`.
    fn greatest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// The larger of the magnitudes, where infinity is larger than all numbers and NaN than infinity.
    fn largest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    /// Number `i` of the result is row `i` reduced to one number with `pick`.
    fn reduce_rows<P: Pick>(self, rows: &[Self::Floats; LANES], pick: P) -> Self::Floats;

    /// Writes the integers nearest to `numbers`, clamped to `0..=limit`; NaN becomes 0.
    fn store_codes(self, numbers: Self::Floats, limit: Self::Floats, codes: &mut [u8; LANES]);

    /// The sixteen numbers.
    #[inline(always)]
    fn array(self, numbers: Self::Floats) -> [f32; LANES] {
        let mut bytes = [0; 64];
        self.store(numbers, &mut bytes);
        let mut array = [0.0; LANES];
        for (number, bytes) in array.iter_mut().zip(bytes.as_chunks::<4>().0) {
            *number = f32::from_le_bytes(*bytes);
        }
        array
    }

    /// The vector of `array`.
    #[inline(always)]
    fn vector(self, array: &[f32; LANES]) -> Self::Floats {
        let mut bytes = [0; 64];
        for (bytes, number) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(array) {
            *bytes = number.to_le_bytes();
        }
        self.load(&bytes)
    }
}

/// A way to make one of two vectors, number by number.
pub(crate) trait Pick: Copy {
    fn pick<S: Simd>(self, simd: S, a: S::Floats, b: S::Floats) -> S::Floats;
}

/// [`Simd::least`].
#[derive(Clone, Copy)]
pub(crate) struct Least;
/// [`Simd::greatest`].
#[derive(Clone, Copy)]
pub(crate) struct Greatest;
/// [`Simd::largest`].
#[derive(Clone, Copy)]
pub(crate) struct Largest;

impl Pick for Least {
    #[inline(always)]
    fn pick<S: Simd>(self, simd: S, a: S::Floats, b: S::Floats) -> S::Floats {
        simd.least(a, b)
    }
}

impl Pick for Greatest {
    #[inline(always)]
    fn pick<S: Simd>(self, simd: S, a: S::Floats, b: S::Floats) -> S::Floats {
        simd.greatest(a, b)
    }
}

impl Pick for Largest {
    #[inline(always)]
    fn pick<S: Simd>(self, simd: S, a: S::Floats, b: S::Floats) -> S::Floats {
        simd.largest(a, b)
    }
}
