//! What the inner loops need of an instruction set: sixteen numbers that are multiplied and added.
//!
//! Written with intrinsics, for a compiler left to itself vectorizes these loops across the wrong numbers.

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::*;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
use crate::simd::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};

/// Tokens of a vector, one in each lane.
pub(super) const LANES: usize = 16;

/// A number for each of sixteen tokens.
pub(super) type Lanes = [f32; LANES];

/// An instruction set, proved by the value.
pub(super) trait Machine: Copy {
    /// Sixteen numbers in registers.
    type Vector: Copy;

    /// Vectors of a tile: as many as leave registers for its other numbers.
    const ROWS: usize;

    /// Sixteen times `number`.
    fn splat(self, number: f32) -> Self::Vector;

    fn load(self, lanes: &Lanes) -> Self::Vector;

    fn store(self, vector: Self::Vector, lanes: &mut Lanes);

    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// `a * b + c`, rounded once where the machine can.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
}

#[cfg(target_arch = "x86_64")]
impl Machine for Avx512 {
    type Vector = __m512;

    const ROWS: usize = 8;

    #[inline(always)]
    fn splat(self, number: f32) -> __m512 {
        // SAFETY: an `Avx512` exists only where its features do.
        unsafe { _mm512_set1_ps(number) }
    }

    #[inline(always)]
    fn load(self, lanes: &Lanes) -> __m512 {
        // SAFETY: as above, and sixteen numbers are read from an array of as many.
        unsafe { _mm512_loadu_ps(lanes.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, vector: __m512, lanes: &mut Lanes) {
        // SAFETY: as above, and sixteen numbers are written to an array of as many.
        unsafe { _mm512_storeu_ps(lanes.as_mut_ptr(), vector) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn multiply(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
}

#[cfg(target_arch = "x86_64")]
impl Machine for Avx2 {
    type Vector = [__m256; 2];

    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, number: f32) -> [__m256; 2] {
        // SAFETY: an `Avx2` exists only where its features do.
        unsafe { [_mm256_set1_ps(number); 2] }
    }

    #[inline(always)]
    fn load(self, lanes: &Lanes) -> [__m256; 2] {
        let [low, high] = halves(lanes);
        // SAFETY: as above, and eight numbers are read from arrays of as many.
        unsafe { [_mm256_loadu_ps(low.as_ptr()), _mm256_loadu_ps(high.as_ptr())] }
    }

    #[inline(always)]
    fn store(self, [low, high]: [__m256; 2], lanes: &mut Lanes) {
        // SAFETY: as above, and twice eight numbers are written to an array of sixteen.
        unsafe {
            _mm256_storeu_ps(lanes.as_mut_ptr(), low);
            _mm256_storeu_ps(lanes.as_mut_ptr().add(8), high);
        }
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn multiply(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn multiply_add(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn halves(lanes: &Lanes) -> &[[f32; 8]; 2] {
    // SAFETY: both are sixteen numbers.
    unsafe { &*lanes.as_ptr().cast() }
}

#[cfg(target_arch = "aarch64")]
impl Machine for Neon {
    type Vector = [float32x4_t; 4];

    const ROWS: usize = 6;

    #[inline(always)]
    fn splat(self, number: f32) -> [float32x4_t; 4] {
        // SAFETY: the target's baseline has Advanced SIMD.
        unsafe { [vdupq_n_f32(number); 4] }
    }

    #[inline(always)]
    fn load(self, lanes: &Lanes) -> [float32x4_t; 4] {
        let at = lanes.as_ptr();
        // SAFETY: as above, and four times four numbers are read from an array of sixteen.
        unsafe {
            [vld1q_f32(at), vld1q_f32(at.add(4)), vld1q_f32(at.add(8)), vld1q_f32(at.add(12))]
        }
    }

    #[inline(always)]
    fn store(self, [a, b, c, d]: [float32x4_t; 4], lanes: &mut Lanes) {
        let at = lanes.as_mut_ptr();
        // SAFETY: as above, and four times four numbers are written to an array of sixteen.
        unsafe {
            vst1q_f32(at, a);
            vst1q_f32(at.add(4), b);
            vst1q_f32(at.add(8), c);
            vst1q_f32(at.add(12), d);
        }
    }

    #[inline(always)]
    fn add(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let mut sums = a;
        for (sum, b) in sums.iter_mut().zip(b) {
            // SAFETY: as above.
            *sum = unsafe { vaddq_f32(*sum, b) };
        }
        sums
    }

    #[inline(always)]
    fn multiply(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        let mut products = a;
        for (product, b) in products.iter_mut().zip(b) {
            // SAFETY: as above.
            *product = unsafe { vmulq_f32(*product, b) };
        }
        products
    }

    #[inline(always)]
    fn multiply_add(
        self,
        a: [float32x4_t; 4],
        b: [float32x4_t; 4],
        c: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        let mut sums = c;
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            // SAFETY: as above.
            *sum = unsafe { vfmaq_f32(*sum, a, b) };
        }
        sums
    }
}

impl Machine for Portable {
    type Vector = Lanes;

    const ROWS: usize = 3;

    #[inline(always)]
    fn splat(self, number: f32) -> Lanes {
        [number; LANES]
    }

    #[inline(always)]
    fn load(self, lanes: &Lanes) -> Lanes {
        *lanes
    }

    #[inline(always)]
    fn store(self, vector: Lanes, lanes: &mut Lanes) {
        *lanes = vector;
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        let mut sums = a;
        for (sum, b) in sums.iter_mut().zip(b) {
            *sum += b;
        }
        sums
    }

    #[inline(always)]
    fn multiply(self, a: Lanes, b: Lanes) -> Lanes {
        let mut products = a;
        for (product, b) in products.iter_mut().zip(b) {
            *product *= b;
        }
        products
    }

    #[inline(always)]
    fn multiply_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        let mut sums = c;
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
        sums
    }
}
