//! Advanced SIMD of 64-bit Arm: sixteen numbers in four registers.

use std::arch::aarch64::*;
use std::arch::asm;

use super::{LANES, Pick, Simd};

/// Advanced SIMD, which every machine of the target has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

/// Intrinsics of Advanced SIMD.
macro_rules! neon {
    ($($code:tt)*) => {
        // SAFETY: the target's baseline has Advanced SIMD, and pointers come from arrays of the size
        // that is read or written.
        unsafe { $($code)* }
    };
}

/// An array of what `$code` is for 0 to 3.
macro_rules! quarters {
    ($i:ident => $code:expr) => {
        [
            {
                const $i: usize = 0;
                $code
            },
            {
                const $i: usize = 1;
                $code
            },
            {
                const $i: usize = 2;
                $code
            },
            {
                const $i: usize = 3;
                $code
            },
        ]
    };
}

impl Neon {
    pub(crate) fn new() -> Self {
        Self(())
    }

    /// The nearest f16. The intrinsics for it are younger than the oldest compiler we support.
    #[inline(always)]
    fn to_f16(self, numbers: float32x4_t) -> uint16x4_t {
        let halves: uint16x4_t;
        // SAFETY: the instruction is part of the baseline, reads and writes the named registers only,
        // and rounds to the nearest as the control register has it by default.
        unsafe {
            asm!(
                "fcvtn {halves:v}.4h, {numbers:v}.4s",
                numbers = in(vreg) numbers,
                halves = out(vreg) halves,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        halves
    }

    /// The numbers of f16, exactly; NaNs come out quiet.
    #[inline(always)]
    fn from_f16(self, halves: uint16x4_t) -> float32x4_t {
        let numbers: float32x4_t;
        // SAFETY: as in `to_f16`.
        unsafe {
            asm!(
                "fcvtl {numbers:v}.4s, {halves:v}.4h",
                halves = in(vreg) halves,
                numbers = out(vreg) numbers,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        numbers
    }

    /// The nearest bf16 in the upper halves, something in the lower ones; NaNs are 7FC0.
    #[inline(always)]
    fn to_bf16(self, numbers: float32x4_t) -> uint32x4_t {
        neon! {{
            let bits = vreinterpretq_u32_f32(numbers);
            let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
            let rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
            vbslq_u32(vceqq_f32(numbers, numbers), rounded, vdupq_n_u32(0x7fc0_0000))
        }}
    }

    #[inline(always)]
    fn load_halves(self, bytes: &[u8; 32]) -> [uint16x4_t; 4] {
        let (chunks, _) = bytes.as_chunks::<8>();
        quarters!(I => neon!(vreinterpret_u16_u8(vld1_u8(chunks[I].as_ptr()))))
    }

    #[inline(always)]
    fn store_halves(self, halves: [uint16x4_t; 4], bytes: &mut [u8; 32]) {
        for (bytes, half) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
            neon!(vst1_u8(bytes.as_mut_ptr(), vreinterpret_u8_u16(half)));
        }
    }

    /// `pick` for four numbers.
    #[inline(always)]
    fn pick<P: Pick>(self, pick: P, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        pick.pick(self, [a; 4], [b; 4])[0]
    }

    /// Reduces neighbours of `a`, then of `b`.
    #[inline(always)]
    fn pick_pairs<P: Pick>(self, pick: P, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        self.pick(pick, neon!(vuzp1q_f32(a, b)), neon!(vuzp2q_f32(a, b)))
    }

    /// [`Simd::reduce_rows`] for four rows.
    #[inline(always)]
    fn reduce_four<P: Pick>(self, rows: &[[float32x4_t; 4]], pick: P) -> float32x4_t {
        let mut four = [rows[0][0]; 4];
        for (out, row) in four.iter_mut().zip(rows) {
            let [a, b, c, d] = *row;
            *out = self.pick(pick, self.pick(pick, a, b), self.pick(pick, c, d));
        }
        let [a, b, c, d] = four;
        let (low, high) = (self.pick_pairs(pick, a, b), self.pick_pairs(pick, c, d));
        self.pick_pairs(pick, low, high)
    }
}

impl Simd for Neon {
    type Floats = [float32x4_t; 4];

    #[inline(always)]
    fn splat(self, number: f32) -> Self::Floats {
        [neon!(vdupq_n_f32(number)); 4]
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> Self::Floats {
        let (chunks, _) = bytes.as_chunks::<16>();
        quarters!(I => neon!(vreinterpretq_f32_u8(vld1q_u8(chunks[I].as_ptr()))))
    }

    #[inline(always)]
    fn store(self, numbers: Self::Floats, bytes: &mut [u8; 64]) {
        for (bytes, numbers) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(numbers) {
            neon!(vst1q_u8(bytes.as_mut_ptr(), vreinterpretq_u8_f32(numbers)));
        }
    }

    #[inline(always)]
    fn load_f16(self, bytes: &[u8; 32]) -> Self::Floats {
        let halves = self.load_halves(bytes);
        quarters!(I => self.from_f16(halves[I]))
    }

    #[inline(always)]
    fn store_f16(self, numbers: Self::Floats, bytes: &mut [u8; 32]) {
        let halves = quarters!(I => neon! {{
            let half = self.to_f16(numbers[I]);
            let number = vmovn_u32(vceqq_f32(numbers[I], numbers[I]));
            let of_nan = vorr_u16(vand_u16(half, vdup_n_u16(0x8000)), vdup_n_u16(0x7d00));
            vbsl_u16(number, half, of_nan)
        }});
        self.store_halves(halves, bytes);
    }

    #[inline(always)]
    fn round_f16(self, numbers: Self::Floats) -> Self::Floats {
        quarters!(I => self.from_f16(self.to_f16(numbers[I])))
    }

    #[inline(always)]
    fn load_bf16(self, bytes: &[u8; 32]) -> Self::Floats {
        let halves = self.load_halves(bytes);
        quarters!(I => neon!(vreinterpretq_f32_u32(vshll_n_u16::<16>(halves[I]))))
    }

    #[inline(always)]
    fn store_bf16(self, numbers: Self::Floats, bytes: &mut [u8; 32]) {
        let halves = quarters!(I => neon!(vshrn_n_u32::<16>(self.to_bf16(numbers[I]))));
        self.store_halves(halves, bytes);
    }

    #[inline(always)]
    fn round_bf16(self, numbers: Self::Floats) -> Self::Floats {
        quarters!(I => neon! {{
            let upper = vdupq_n_u32(0xffff_0000);
            vreinterpretq_f32_u32(vandq_u32(self.to_bf16(numbers[I]), upper))
        }})
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        quarters!(I => neon!(vsubq_f32(a[I], b[I])))
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        quarters!(I => neon!(vdivq_f32(a[I], b[I])))
    }

    #[inline(always)]
    fn least(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        quarters!(I => neon!(vbslq_f32(vcltq_f32(a[I], b[I]), a[I], b[I])))
    }

    #[inline(always)]
    fn greatest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        quarters!(I => neon!(vbslq_f32(vcgtq_f32(a[I], b[I]), a[I], b[I])))
    }

    #[inline(always)]
    fn largest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        quarters!(I => neon! {{
            let a = vreinterpretq_u32_f32(vabsq_f32(a[I]));
            let b = vreinterpretq_u32_f32(vabsq_f32(b[I]));
            vreinterpretq_f32_u32(vmaxq_u32(a, b))
        }})
    }

    #[inline(always)]
    fn reduce_rows<P: Pick>(self, rows: &[Self::Floats; LANES], pick: P) -> Self::Floats {
        quarters!(I => self.reduce_four(&rows[4 * I..4 * I + 4], pick))
    }

    #[inline(always)]
    fn store_codes(self, numbers: Self::Floats, limit: Self::Floats, codes: &mut [u8; LANES]) {
        let clamped = self.least(self.greatest(numbers, self.splat(0.0)), limit);
        let halves = quarters!(I => neon!(vmovn_u32(vcvtnq_u32_f32(clamped[I]))));
        neon! {{
            let low = vmovn_u16(vcombine_u16(halves[0], halves[1]));
            let high = vmovn_u16(vcombine_u16(halves[2], halves[3]));
            vst1q_u8(codes.as_mut_ptr(), vcombine_u8(low, high));
        }}
    }
}
