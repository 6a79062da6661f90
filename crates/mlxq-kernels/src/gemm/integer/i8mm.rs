//! NEON with `usmmla`, which adds to each of four sums eight products: of the codes of two columns, bytes
//! without a sign, with two runs of activations. The runs are the high and low bytes of a row's
//! activations of 16 bits, or the activations of 8 bits of two rows.

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::super::codes::{Panel, Words};
use super::neon::{Bytes, Dot, load, load_codes};
use super::tiles::{self, Tile};
use super::{IntegerRows, Sums};
use crate::isa::Isa;

/// The proof that the machine has `usmmla`, and that it is wanted.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct I8mm(());

/// Intrinsics, and what needs the feature that [`I8mm`] proves.
macro_rules! i8mm {
    ($($code:tt)*) => {
        // SAFETY: an `I8mm` exists only where its feature does (`I8mm::of`), and every use stands in a
        // method of one.
        unsafe { $($code)* }
    };
}

/// Two quads of four columns: both of the first two, then both of the others.
type Pairs = [int8x16_t; 2];

impl I8mm {
    /// The proof, where the machine can give it and `isa` allows it.
    pub(super) fn of(isa: Isa) -> Option<Self> {
        let wanted = matches!(isa, Isa::Neon(_));
        (wanted && is_aarch64_feature_detected!("i8mm")).then_some(Self(()))
    }

    /// The products of all rows.
    pub(super) fn multiply<T: Copy>(self, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
    where
        Self: Tile<T>,
    {
        #[target_feature(enable = "neon,i8mm")]
        fn entry<T: Copy>(simd: I8mm, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
        where
            I8mm: Tile<T>,
        {
            tiles::all(simd, panel, rows, out);
        }
        i8mm!(entry(self, panel, rows, out))
    }

    /// The codes of two quads, column by column.
    #[inline(always)]
    fn pairs<const C: usize>(self, even: &Words, odd: &Words, first: usize) -> [Pairs; C] {
        let (even, odd) = (load_codes::<C>(even, first), load_codes::<C>(odd, first));
        let mut pairs = [[i8mm!(vdupq_n_s8(0)); 2]; C];
        for c in 0..C {
            pairs[c] = i8mm! {{
                let (even, odd) = (vreinterpretq_s32_s8(even[c]), vreinterpretq_s32_s8(odd[c]));
                [
                    vreinterpretq_s8_s32(vzip1q_s32(even, odd)),
                    vreinterpretq_s8_s32(vzip2q_s32(even, odd)),
                ]
            }};
        }
        pairs
    }
}

/// `vusmmlaq_s32`: adds to `sums[2 * i + j]` the products of eight bytes of `a` from `8 * i` on, without a
/// sign, with eight of `b` from `8 * j` on.
#[inline]
#[target_feature(enable = "neon,i8mm")]
fn usmmla(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is of the enabled features, and reads and writes its registers only.
    unsafe {
        asm!(
            "usmmla {sums:v}.4s, {a:v}.16b, {b:v}.16b",
            sums = inout(vreg) sums,
            a = in(vreg) a,
            b = in(vreg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

impl Dot<i16> for I8mm {
    const OFFSET: i32 = 0;

    /// Sums of high and of low bytes are at most 128 * 255 * 127 < 2^22 in magnitude.
    #[inline(always)]
    fn dot<const R: usize, const C: usize>(
        self,
        words: &[Words],
        first: usize,
        rows: [&[Bytes]; R],
        _: [i32; R],
    ) -> [[int32x4_t; C]; R] {
        let words = words.as_chunks::<2>().0;
        assert!(rows.iter().all(|row| row.len() == words.len()), "quads");
        let mut both = [[[i8mm!(vdupq_n_s32(0)); 2]; C]; R];
        for (i, [even, odd]) in words.iter().enumerate() {
            let codes = self.pairs::<C>(even, odd, first);
            for r in 0..R {
                let values = load(&rows[r][i]);
                for c in 0..C {
                    both[r][c][0] = i8mm!(usmmla(both[r][c][0], codes[c][0], values));
                    both[r][c][1] = i8mm!(usmmla(both[r][c][1], codes[c][1], values));
                }
            }
        }
        let mut sums = [[i8mm!(vdupq_n_s32(0)); C]; R];
        for r in 0..R {
            for c in 0..C {
                sums[r][c] = i8mm! {{
                    let high = vuzp1q_s32(both[r][c][0], both[r][c][1]);
                    let low = vuzp2q_s32(both[r][c][0], both[r][c][1]);
                    vaddq_s32(low, vshlq_n_s32::<8>(high))
                }};
            }
        }
        sums
    }
}

impl Dot<i8> for I8mm {
    const OFFSET: i32 = 0;

    #[inline(always)]
    fn dot<const R: usize, const C: usize>(
        self,
        words: &[Words],
        first: usize,
        rows: [&[Bytes]; R],
        _: [i32; R],
    ) -> [[int32x4_t; C]; R] {
        let words = words.as_chunks::<4>().0;
        assert!(rows.iter().all(|row| row.len() == words.len()), "quads");
        // Sums of two rows, `r` and `r + 1`, for even `r`.
        let mut both = [[[i8mm!(vdupq_n_s32(0)); 2]; C]; R];
        for (i, [k0, k1, k2, k3]) in words.iter().enumerate() {
            let codes = [self.pairs::<C>(k0, k1, first), self.pairs::<C>(k2, k3, first)];
            for r in (0..R).step_by(2) {
                // An odd last row goes with itself.
                let values = [load(&rows[r][i]), load(&rows[(r + 1).min(R - 1)][i])];
                let values = i8mm! {{
                    let a = vreinterpretq_s64_s8(values[0]);
                    let b = vreinterpretq_s64_s8(values[1]);
                    [
                        vreinterpretq_s8_s64(vzip1q_s64(a, b)),
                        vreinterpretq_s8_s64(vzip2q_s64(a, b)),
                    ]
                }};
                for half in 0..2 {
                    for c in 0..C {
                        let codes = codes[half][c];
                        both[r][c][0] = i8mm!(usmmla(both[r][c][0], codes[0], values[half]));
                        both[r][c][1] = i8mm!(usmmla(both[r][c][1], codes[1], values[half]));
                    }
                }
            }
        }
        let mut sums = [[i8mm!(vdupq_n_s32(0)); C]; R];
        for r in 0..R {
            for c in 0..C {
                let [left, right] = both[r / 2 * 2][c];
                sums[r][c] = if r % 2 == 0 {
                    i8mm!(vuzp1q_s32(left, right))
                } else {
                    i8mm!(vuzp2q_s32(left, right))
                };
            }
        }
        sums
    }
}
