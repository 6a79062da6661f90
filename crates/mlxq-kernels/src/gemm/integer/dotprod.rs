//! NEON with `sdot`, which adds to each of four sums the products of a quad: of four columns' codes, less
//! 128, with one row's activations.

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::super::codes::{Panel, Words};
use super::neon::{Bytes, Dot, load, load_codes};
use super::tiles::{self, Tile};
use super::{IntegerRows, Sums};
use crate::isa::Isa;

/// The proof that the machine has `sdot`, and that it is wanted.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Dotprod(());

/// Intrinsics, and what needs the feature that [`Dotprod`] proves.
macro_rules! dotprod {
    ($($code:tt)*) => {
        // SAFETY: a `Dotprod` exists only where its feature does (`Dotprod::of`), and every use stands in
        // a method of one.
        unsafe { $($code)* }
    };
}

impl Dotprod {
    /// The proof, where the machine can give it and `isa` allows it.
    pub(super) fn of(isa: Isa) -> Option<Self> {
        let wanted = matches!(isa, Isa::Neon(_));
        (wanted && is_aarch64_feature_detected!("dotprod")).then_some(Self(()))
    }

    /// The products of all rows.
    pub(super) fn multiply<T: Copy>(self, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
    where
        Self: Tile<T>,
    {
        #[target_feature(enable = "neon,dotprod")]
        fn entry<T: Copy>(simd: Dotprod, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
        where
            Dotprod: Tile<T>,
        {
            tiles::all(simd, panel, rows, out);
        }
        dotprod!(entry(self, panel, rows, out))
    }

    /// The codes of a quad as signed bytes, 128 less than they are.
    #[inline(always)]
    fn signed<const C: usize>(self, words: &Words, first: usize) -> [int8x16_t; C] {
        let mut codes = load_codes::<C>(words, first);
        for code in &mut codes {
            *code = dotprod!(veorq_s8(*code, vdupq_n_s8(i8::MIN)));
        }
        codes
    }
}

/// `vdotq_laneq_s32`: adds to each sum the products of four bytes of `a` with the four of `b` at `LANE`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
fn sdot<const LANE: usize>(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is of the enabled features, and reads and writes its registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {a:v}.16b, {b:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

impl Dot<i16> for Dotprod {
    const OFFSET: i32 = 128;

    /// Sums of high and of low bytes are at most 128 * 128 * 127 < 2^21 in magnitude, and the start
    /// below 2^30.
    #[inline(always)]
    fn dot<const R: usize, const C: usize>(
        self,
        words: &[Words],
        first: usize,
        rows: [&[Bytes]; R],
        starts: [i32; R],
    ) -> [[int32x4_t; C]; R] {
        let words = words.as_chunks::<2>().0;
        assert!(rows.iter().all(|row| row.len() == words.len()), "quads");
        let mut high = [[dotprod!(vdupq_n_s32(0)); C]; R];
        let mut low = high;
        for r in 0..R {
            low[r] = [dotprod!(vdupq_n_s32(starts[r])); C];
        }
        for (i, [even, odd]) in words.iter().enumerate() {
            let (even, odd) = (self.signed::<C>(even, first), self.signed::<C>(odd, first));
            for r in 0..R {
                let values = load(&rows[r][i]);
                for c in 0..C {
                    high[r][c] = dotprod!(sdot::<0>(high[r][c], even[c], values));
                    low[r][c] = dotprod!(sdot::<2>(low[r][c], even[c], values));
                }
                for c in 0..C {
                    high[r][c] = dotprod!(sdot::<1>(high[r][c], odd[c], values));
                    low[r][c] = dotprod!(sdot::<3>(low[r][c], odd[c], values));
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                low[r][c] = dotprod!(vaddq_s32(low[r][c], vshlq_n_s32::<8>(high[r][c])));
            }
        }
        low
    }
}

impl Dot<i8> for Dotprod {
    const OFFSET: i32 = 128;

    #[inline(always)]
    fn dot<const R: usize, const C: usize>(
        self,
        words: &[Words],
        first: usize,
        rows: [&[Bytes]; R],
        starts: [i32; R],
    ) -> [[int32x4_t; C]; R] {
        let words = words.as_chunks::<4>().0;
        assert!(rows.iter().all(|row| row.len() == words.len()), "quads");
        let mut sums = [[dotprod!(vdupq_n_s32(0)); C]; R];
        for r in 0..R {
            sums[r] = [dotprod!(vdupq_n_s32(starts[r])); C];
        }
        for (i, [a, b, c, d]) in words.iter().enumerate() {
            let (a, b) = (self.signed::<C>(a, first), self.signed::<C>(b, first));
            let (c, d) = (self.signed::<C>(c, first), self.signed::<C>(d, first));
            for r in 0..R {
                let values = load(&rows[r][i]);
                for x in 0..C {
                    sums[r][x] = dotprod!(sdot::<0>(sums[r][x], a[x], values));
                }
                for x in 0..C {
                    sums[r][x] = dotprod!(sdot::<1>(sums[r][x], b[x], values));
                }
                for x in 0..C {
                    sums[r][x] = dotprod!(sdot::<2>(sums[r][x], c[x], values));
                }
                for x in 0..C {
                    sums[r][x] = dotprod!(sdot::<3>(sums[r][x], d[x], values));
                }
            }
        }
        sums
    }
}
