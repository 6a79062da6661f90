//! AVX-512: sixteen numbers in one register.

use std::arch::x86_64::*;

use super::{LANES, Pick, Simd, Work};

/// The proof that the machine has AVX-512 F, BW, DQ and VL, AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

/// Intrinsics of the features that [`Avx512`] proves.
macro_rules! avx512 {
    ($($code:tt)*) => {
        // SAFETY: an `Avx512` exists only where its features do (`Avx512::detect`), every use stands in
        // a method of one, and pointers come from arrays of the size that is read or written.
        unsafe { $($code)* }
    };
}

/// The order in which [`Simd::reduce_rows`] takes rows, so that its results come out in their order.
const ORDER: [usize; LANES] = [0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15];

impl Avx512 {
    /// The proof, where the machine can give it.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        (has && super::Avx2::detect().is_some()).then_some(Self(()))
    }

    /// Runs `work`, compiled for this instruction set.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
        fn entry<W: Work>(simd: Avx512, work: W) -> W::Output {
            work.run(simd)
        }
        avx512!(entry(self, work))
    }

    #[inline(always)]
    fn halves(self, bytes: &[u8; 32]) -> __m256i {
        avx512!(_mm256_loadu_si256(bytes.as_ptr().cast()))
    }

    #[inline(always)]
    fn to_f16(self, numbers: __m512) -> __m256i {
        avx512!(_mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(numbers))
    }

    /// The nearest bf16 in the upper halves, something in the lower ones; NaNs are 7FC0.
    #[inline(always)]
    fn to_bf16(self, numbers: __m512) -> __m512i {
        avx512! {{
            let bits = _mm512_castps_si512(numbers);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(numbers, numbers);
            let rounded = _mm512_add_epi32(bits, half);
            _mm512_mask_mov_epi32(rounded, nan, _mm512_set1_epi32(0x7fc0_0000))
        }}
    }
}

impl Simd for Avx512 {
    type Floats = __m512;

    #[inline(always)]
    fn splat(self, number: f32) -> __m512 {
        avx512!(_mm512_set1_ps(number))
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> __m512 {
        avx512!(_mm512_loadu_ps(bytes.as_ptr().cast()))
    }

    #[inline(always)]
    fn store(self, numbers: __m512, bytes: &mut [u8; 64]) {
        avx512!(_mm512_storeu_ps(bytes.as_mut_ptr().cast(), numbers));
    }

    #[inline(always)]
    fn load_f16(self, bytes: &[u8; 32]) -> __m512 {
        avx512!(_mm512_cvtph_ps(self.halves(bytes)))
    }

    #[inline(always)]
    fn store_f16(self, numbers: __m512, bytes: &mut [u8; 32]) {
        avx512! {{
            let halves = self.to_f16(numbers);
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(numbers, numbers);
            let sign = _mm256_and_si256(halves, _mm256_set1_epi16(i16::MIN));
            let of_nan = _mm256_or_si256(sign, _mm256_set1_epi16(0x7d00));
            let halves = _mm256_mask_mov_epi16(halves, nan, of_nan);
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), halves);
        }}
    }

    #[inline(always)]
    fn round_f16(self, numbers: __m512) -> __m512 {
        avx512!(_mm512_cvtph_ps(self.to_f16(numbers)))
    }

    #[inline(always)]
    fn load_bf16(self, bytes: &[u8; 32]) -> __m512 {
        avx512! {{
            let bits = _mm512_cvtepu16_epi32(self.halves(bytes));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }}
    }

    #[inline(always)]
    fn store_bf16(self, numbers: __m512, bytes: &mut [u8; 32]) {
        avx512! {{
            let halves = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(self.to_bf16(numbers)));
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), halves);
        }}
    }

    #[inline(always)]
    fn round_bf16(self, numbers: __m512) -> __m512 {
        avx512! {{
            let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
            _mm512_castsi512_ps(_mm512_and_si512(self.to_bf16(numbers), upper))
        }}
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn least(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn greatest(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn largest(self, a: __m512, b: __m512) -> __m512 {
        avx512! {{
            let a = _mm512_castps_si512(_mm512_abs_ps(a));
            let b = _mm512_castps_si512(_mm512_abs_ps(b));
            _mm512_castsi512_ps(_mm512_max_epi32(a, b))
        }}
    }

    #[inline(always)]
    fn reduce_rows<P: Pick>(self, rows: &[__m512; LANES], pick: P) -> __m512 {
        // Each step reduces two vectors to one that holds half of either: halves, quarters, and then
        // inside the quarters.
        let mut eight = [self.splat(0.0); 8];
        for (i, out) in eight.iter_mut().enumerate() {
            let (a, b) = (rows[ORDER[i]], rows[ORDER[i + 8]]);
            let low = avx512!(_mm512_shuffle_f32x4::<0x44>(a, b));
            *out = pick.pick(self, low, avx512!(_mm512_shuffle_f32x4::<0xee>(a, b)));
        }
        let mut four = [self.splat(0.0); 4];
        for (i, out) in four.iter_mut().enumerate() {
            let (a, b) = (eight[i], eight[i + 4]);
            let even = avx512!(_mm512_shuffle_f32x4::<0x88>(a, b));
            *out = pick.pick(self, even, avx512!(_mm512_shuffle_f32x4::<0xdd>(a, b)));
        }
        let mut two = [self.splat(0.0); 2];
        for (i, out) in two.iter_mut().enumerate() {
            let (a, b) = (four[i], four[i + 2]);
            let low = avx512!(_mm512_shuffle_ps::<0x44>(a, b));
            *out = pick.pick(self, low, avx512!(_mm512_shuffle_ps::<0xee>(a, b)));
        }
        let even = avx512!(_mm512_shuffle_ps::<0x88>(two[0], two[1]));
        pick.pick(self, even, avx512!(_mm512_shuffle_ps::<0xdd>(two[0], two[1])))
    }

    #[inline(always)]
    fn store_codes(self, numbers: __m512, limit: __m512, codes: &mut [u8; LANES]) {
        let clamped = self.least(self.greatest(numbers, self.splat(0.0)), limit);
        avx512! {{
            let narrow = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(clamped));
            _mm_storeu_si128(codes.as_mut_ptr().cast(), narrow);
        }}
    }
}
