//! AVX2: sixteen of a panel's columns are two registers, a tile of four rows keeps eight sums of
//! integers in registers and the sums of floats in the nearest cache.
//!
//! Activations of 8 bits are widened to 16: products of bytes would saturate at 16 bits, and avoiding
//! that costs what they save.

use std::arch::x86_64::*;

use super::super::codes::{COLUMNS, Group, Panel, QUAD, Words};
use super::tiles::{self, Tile};
use super::{IntegerRows, Sums};
use crate::isa::Isa;

/// The proof that the machine has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Avx2(());

/// Intrinsics of the features that [`Avx2`] proves.
macro_rules! avx2 {
    ($($code:tt)*) => {
        // SAFETY: an `Avx2` exists only where its features do (`Avx2::of`), every use stands in a method
        // of one, and pointers come from arrays of the size that is read or written.
        unsafe { $($code)* }
    };
}

/// Columns that are summed at once.
const SPAN: usize = 16;
/// Inputs of the largest group.
const LARGEST_GROUP: usize = 128;
/// The integers of a span.
type Integers = [__m256i; 2];

impl Avx2 {
    /// The proof, where `isa` gives it: all of x86-64 but the portable one have both.
    pub(super) fn of(isa: Isa) -> Option<Self> {
        (!matches!(isa, Isa::Portable(_))).then_some(Self(()))
    }

    /// The products of all rows.
    pub(super) fn multiply<T: Copy>(self, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
    where
        Self: Tile<T>,
    {
        #[target_feature(enable = "avx2,fma")]
        fn entry<T: Copy>(simd: Avx2, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
        where
            Avx2: Tile<T>,
        {
            tiles::all(simd, panel, rows, out);
        }
        avx2!(entry(self, panel, rows, out))
    }

    /// Adds to `out`, at the columns `span`, `scale * group.scales * integers + sum * group.biases`; no
    /// scale is 1.
    #[inline(always)]
    fn finish(
        self,
        group: &Group,
        span: usize,
        integers: Integers,
        scale: Option<f32>,
        sum: f32,
        out: &mut Sums,
    ) {
        for (half, integers) in integers.into_iter().enumerate() {
            let place = 2 * span + half;
            let [scales, biases] =
                [&group.scales, &group.biases].map(|x| &x.as_chunks::<8>().0[place]);
            let out = &mut out.as_chunks_mut::<8>().0[place];
            avx2! {{
                let mut number = _mm256_cvtepi32_ps(integers);
                if let Some(scale) = scale {
                    number = _mm256_mul_ps(number, _mm256_set1_ps(scale));
                }
                let sums = _mm256_loadu_ps(out.as_ptr());
                let scaled = _mm256_fmadd_ps(number, _mm256_loadu_ps(scales.as_ptr()), sums);
                let biases = _mm256_loadu_ps(biases.as_ptr());
                let sums = _mm256_fmadd_ps(_mm256_set1_ps(sum), biases, scaled);
                _mm256_storeu_ps(out.as_mut_ptr(), sums);
            }}
        }
    }

    /// The sums of a group's columns in `span`.
    #[inline(always)]
    fn dot<const R: usize>(
        self,
        words: &[Words],
        span: usize,
        values: [&[[i16; QUAD]]; R],
    ) -> [Integers; R] {
        // Said once here, so that it need not be asked for every quad.
        assert!(values.iter().all(|row| row.len() == words.len()), "quads");
        let zero = avx2!(_mm256_setzero_si256());
        let bytes = avx2!(_mm256_set1_epi16(0xff));
        let mut sums = [[zero; 2]; R];
        for (i, words) in words.iter().enumerate() {
            let words = &words.as_chunks::<8>().0[2 * span..][..2];
            let words = avx2! {[
                _mm256_loadu_si256(words[0].as_ptr().cast()),
                _mm256_loadu_si256(words[1].as_ptr().cast()),
            ]};
            let even =
                avx2!([_mm256_and_si256(words[0], bytes), _mm256_and_si256(words[1], bytes)]);
            let odd = avx2!([_mm256_srli_epi16::<8>(words[0]), _mm256_srli_epi16::<8>(words[1])]);
            for r in 0..R {
                let [a, b, c, d] = values[r][i];
                let (first, second) = (pair(a, b), pair(c, d));
                for half in 0..2 {
                    sums[r][half] = avx2! {{
                        let products = _mm256_madd_epi16(even[half], _mm256_set1_epi32(first));
                        _mm256_add_epi32(sums[r][half], products)
                    }};
                    sums[r][half] = avx2! {{
                        let products = _mm256_madd_epi16(odd[half], _mm256_set1_epi32(second));
                        _mm256_add_epi32(sums[r][half], products)
                    }};
                }
            }
        }
        sums
    }
}

/// Two activations as they lie in memory.
#[inline(always)]
fn pair(a: i16, b: i16) -> i32 {
    i32::from(a) & 0xffff | i32::from(b) << 16
}

impl Tile<i16> for Avx2 {
    const ROWS: usize = 4;

    #[inline(always)]
    fn tile<const R: usize>(
        self,
        panel: Panel,
        rows: IntegerRows<i16>,
        first: usize,
        out: &mut [Sums; R],
    ) {
        let quads = panel.words_per_group();
        *out = [[0.0; COLUMNS]; R];
        for (place, group) in panel.groups.iter().enumerate() {
            let words = &panel.words[place * quads..][..quads];
            let values = rows.parts::<R>(first, place);
            for span in 0..COLUMNS / SPAN {
                let integers = self.dot(words, span, values);
                for r in 0..R {
                    let sum = rows.sum(first + r, place);
                    self.finish(group, span, integers[r], None, sum, &mut out[r]);
                }
            }
        }
        for (r, out) in out.iter_mut().enumerate() {
            for x in out {
                *x *= rows.scale(first + r);
            }
        }
    }
}

impl Tile<i8> for Avx2 {
    const ROWS: usize = 4;

    #[inline(always)]
    fn tile<const R: usize>(
        self,
        panel: Panel,
        rows: IntegerRows<i8>,
        first: usize,
        out: &mut [Sums; R],
    ) {
        let quads = panel.words_per_group();
        *out = [[0.0; COLUMNS]; R];
        for (place, group) in panel.groups.iter().enumerate() {
            let words = &panel.words[place * quads..][..quads];
            let mut wide = [[[0; QUAD]; LARGEST_GROUP / QUAD]; R];
            for (wide, row) in wide.iter_mut().zip(rows.parts::<R>(first, place)) {
                for (wide, [a, c, b, d]) in wide.iter_mut().zip(row) {
                    *wide = [*a, *b, *c, *d].map(i16::from);
                }
            }
            let mut values: [&[[i16; QUAD]]; R] = [&[]; R];
            for (values, wide) in values.iter_mut().zip(&wide) {
                *values = &wide[..quads];
            }
            for span in 0..COLUMNS / SPAN {
                let integers = self.dot(words, span, values);
                for r in 0..R {
                    let (scale, sum) = (rows.scale(first + r, place), rows.sum(first + r, place));
                    self.finish(group, span, integers[r], Some(scale), sum, &mut out[r]);
                }
            }
        }
    }
}
