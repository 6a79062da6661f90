//! AVX2 with F16C: sixteen numbers in two registers.

use std::arch::x86_64::*;

use super::{LANES, Pick, Simd, Work};

/// The proof that the machine has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

/// Intrinsics of the features that [`Avx2`] proves.
macro_rules! avx2 {
    ($($code:tt)*) => {
        // SAFETY: an `Avx2` exists only where its features do (`Avx2::detect`), every use stands in a
        // method of one, and pointers come from arrays of the size that is read or written.
        unsafe { $($code)* }
    };
}

/// An array of what `$code` is for 0 and 1, without the calls of `array::map`.
macro_rules! both {
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
        ]
    };
}

/// The order in which [`Avx2::reduce_eight`] takes rows, so that its results come out in their order.
const ORDER: [usize; 8] = [0, 2, 1, 3, 4, 6, 5, 7];

impl Avx2 {
    /// The proof, where the machine can give it.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c");
        has.then_some(Self(()))
    }

    /// Runs `work`, compiled for this instruction set.
    pub(crate) fn run<W: Work>(self, work: W) -> W::Output {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn entry<W: Work>(simd: Avx2, work: W) -> W::Output {
            work.run(simd)
        }
        avx2!(entry(self, work))
    }

    /// The nearest f16; NaNs keep their sign.
    #[inline(always)]
    fn to_f16(self, numbers: __m256) -> __m128i {
        avx2!(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(numbers))
    }

    /// The nearest bf16 in the upper halves, something in the lower ones; NaNs are 7FC0.
    #[inline(always)]
    fn to_bf16(self, numbers: __m256) -> __m256i {
        avx2! {{
            let bits = _mm256_castps_si256(numbers);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(numbers, numbers));
            let rounded = _mm256_add_epi32(bits, half);
            _mm256_blendv_epi8(rounded, _mm256_set1_epi32(0x7fc0_0000), nan)
        }}
    }

    /// `pick` for eight numbers.
    #[inline(always)]
    fn pick<P: Pick>(self, pick: P, a: __m256, b: __m256) -> __m256 {
        pick.pick(self, [a; 2], [b; 2])[0]
    }

    /// [`Simd::reduce_rows`] for eight rows of eight.
    #[inline(always)]
    fn reduce_eight<P: Pick>(self, rows: [__m256; 8], pick: P) -> __m256 {
        // Each step reduces two vectors to one that holds half of either.
        let mut four = [rows[0]; 4];
        for (i, out) in four.iter_mut().enumerate() {
            let (a, b) = (rows[ORDER[i]], rows[ORDER[i + 4]]);
            let low = avx2!(_mm256_permute2f128_ps::<0x20>(a, b));
            *out = self.pick(pick, low, avx2!(_mm256_permute2f128_ps::<0x31>(a, b)));
        }
        let mut two = [rows[0]; 2];
        for (i, out) in two.iter_mut().enumerate() {
            let (a, b) = (four[i], four[i + 2]);
            let low = avx2!(_mm256_shuffle_ps::<0x44>(a, b));
            *out = self.pick(pick, low, avx2!(_mm256_shuffle_ps::<0xee>(a, b)));
        }
        let even = avx2!(_mm256_shuffle_ps::<0x88>(two[0], two[1]));
        self.pick(pick, even, avx2!(_mm256_shuffle_ps::<0xdd>(two[0], two[1])))
    }
}

/// Both halves of `bytes`.
#[inline(always)]
fn split(bytes: &[u8; 32]) -> [&[u8; 16]; 2] {
    let (chunks, _) = bytes.as_chunks();
    [&chunks[0], &chunks[1]]
}

impl Simd for Avx2 {
    type Floats = [__m256; 2];

    #[inline(always)]
    fn splat(self, number: f32) -> Self::Floats {
        [avx2!(_mm256_set1_ps(number)); 2]
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; 64]) -> Self::Floats {
        let (halves, _) = bytes.as_chunks::<32>();
        both!(I => avx2!(_mm256_loadu_ps(halves[I].as_ptr().cast())))
    }

    #[inline(always)]
    fn store(self, numbers: Self::Floats, bytes: &mut [u8; 64]) {
        for (half, numbers) in bytes.as_chunks_mut::<32>().0.iter_mut().zip(numbers) {
            avx2!(_mm256_storeu_ps(half.as_mut_ptr().cast(), numbers));
        }
    }

    #[inline(always)]
    fn load_f16(self, bytes: &[u8; 32]) -> Self::Floats {
        let halves = split(bytes);
        both!(I => avx2!(_mm256_cvtph_ps(_mm_loadu_si128(halves[I].as_ptr().cast()))))
    }

    #[inline(always)]
    fn store_f16(self, numbers: Self::Floats, bytes: &mut [u8; 32]) {
        avx2! {{
            let halves = _mm256_set_m128i(self.to_f16(numbers[1]), self.to_f16(numbers[0]));
            let magnitude = _mm256_and_si256(halves, _mm256_set1_epi16(0x7fff));
            let nan = _mm256_cmpgt_epi16(magnitude, _mm256_set1_epi16(0x7c00));
            let sign = _mm256_and_si256(halves, _mm256_set1_epi16(i16::MIN));
            let of_nan = _mm256_or_si256(sign, _mm256_set1_epi16(0x7d00));
            let halves = _mm256_blendv_epi8(halves, of_nan, nan);
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), halves);
        }}
    }

    #[inline(always)]
    fn round_f16(self, numbers: Self::Floats) -> Self::Floats {
        both!(I => avx2!(_mm256_cvtph_ps(self.to_f16(numbers[I]))))
    }

    #[inline(always)]
    fn load_bf16(self, bytes: &[u8; 32]) -> Self::Floats {
        let halves = split(bytes);
        both!(I => avx2! {{
            let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(halves[I].as_ptr().cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
        }})
    }

    #[inline(always)]
    fn store_bf16(self, numbers: Self::Floats, bytes: &mut [u8; 32]) {
        avx2! {{
            let [low, high] = both!(I => _mm256_srli_epi32::<16>(self.to_bf16(numbers[I])));
            // Packing works inside quarters: 0 2 1 3 puts them back in order.
            let packed = _mm256_permute4x64_epi64::<0xd8>(_mm256_packus_epi32(low, high));
            _mm256_storeu_si256(bytes.as_mut_ptr().cast(), packed);
        }}
    }

    #[inline(always)]
    fn round_bf16(self, numbers: Self::Floats) -> Self::Floats {
        both!(I => avx2! {{
            let upper = _mm256_set1_epi32(0xffff_0000_u32 as i32);
            _mm256_castsi256_ps(_mm256_and_si256(self.to_bf16(numbers[I]), upper))
        }})
    }

    #[inline(always)]
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        both!(I => avx2!(_mm256_sub_ps(a[I], b[I])))
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        both!(I => avx2!(_mm256_div_ps(a[I], b[I])))
    }

    #[inline(always)]
    fn least(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        both!(I => avx2!(_mm256_min_ps(a[I], b[I])))
    }

    #[inline(always)]
    fn greatest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        both!(I => avx2!(_mm256_max_ps(a[I], b[I])))
    }

    #[inline(always)]
    fn largest(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        both!(I => avx2! {{
            let magnitude = _mm256_set1_epi32(i32::MAX);
            let a = _mm256_and_si256(_mm256_castps_si256(a[I]), magnitude);
            let b = _mm256_and_si256(_mm256_castps_si256(b[I]), magnitude);
            _mm256_castsi256_ps(_mm256_max_epi32(a, b))
        }})
    }

    #[inline(always)]
    fn reduce_rows<P: Pick>(self, rows: &[Self::Floats; LANES], pick: P) -> Self::Floats {
        let mut eights = [[rows[0][0]; 8]; 2];
        for (out, [low, high]) in eights.as_flattened_mut().iter_mut().zip(rows) {
            *out = self.pick(pick, *low, *high);
        }
        both!(I => self.reduce_eight(eights[I], pick))
    }

    #[inline(always)]
    fn store_codes(self, numbers: Self::Floats, limit: Self::Floats, codes: &mut [u8; LANES]) {
        let clamped = self.least(self.greatest(numbers, self.splat(0.0)), limit);
        avx2! {{
            let [low, high] = both!(I => _mm256_cvtps_epi32(clamped[I]));
            let wide = _mm256_permute4x64_epi64::<0xd8>(_mm256_packs_epi32(low, high));
            let (low, high) = (_mm256_castsi256_si128(wide), _mm256_extracti128_si256::<1>(wide));
            _mm_storeu_si128(codes.as_mut_ptr().cast(), _mm_packus_epi16(low, high));
        }}
    }
}
