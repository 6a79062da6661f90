//! AVX-512 VNNI: a panel's columns are two registers, a tile of six rows keeps twelve sums of integers
//! and twelve of floats in registers. Narrow codes are widened in registers too, for each tile anew: that hides
//! behind the products, and half as much is read.
//!
//! No closure holds an intrinsic: closures are compiled without the instructions, and then it depends on
//! the order of inlining whether the sums stay in registers (a factor of four was seen).

use std::arch::asm;
use std::arch::x86_64::*;

use super::super::codes::{Group, Panel, QUAD, Words};
use super::tiles::{self, Tile};
use super::{IntegerRows, Sums};
use crate::isa::Isa;

/// The proof that the machine has AVX-512 F, BW and VNNI, and that they are wanted.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Vnni(());

/// Intrinsics of the features that [`Vnni`] proves.
macro_rules! vnni {
    ($($code:tt)*) => {
        // SAFETY: a `Vnni` exists only where its features do (`Vnni::of`), every use stands in a method
        // of one, and pointers come from arrays of the size that is read or written.
        unsafe { $($code)* }
    };
}

/// What of a word is a quad: all of it, or the lower or upper halves of its bytes.
const WHOLE: u8 = 0;
const LOWER: u8 = 1;
const UPPER: u8 = 2;

/// A panel's columns: integers.
type Integers = [__m512i; 2];
/// A panel's columns: floats.
type Floats = [__m512; 2];

impl Vnni {
    /// The proof, where the machine can give it and `isa` allows it.
    pub(super) fn of(isa: Isa) -> Option<Self> {
        let wanted = matches!(isa, Isa::Avx512(_));
        (wanted && is_x86_feature_detected!("avx512vnni")).then_some(Self(()))
    }

    /// The products of all rows.
    pub(super) fn multiply<T: Copy>(self, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
    where
        Self: Tile<T>,
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
        fn entry<T: Copy>(simd: Vnni, panel: Panel, rows: IntegerRows<T>, out: &mut [Sums])
        where
            Vnni: Tile<T>,
        {
            tiles::all(simd, panel, rows, out);
        }
        vnni!(entry(self, panel, rows, out))
    }

    /// The quads of that `PART` of each word.
    #[inline(always)]
    fn load<const PART: u8>(self, words: &Words) -> Integers {
        let mut quads = [vnni!(_mm512_setzero_si512()); 2];
        for (quads, words) in quads.iter_mut().zip(words.as_chunks::<16>().0) {
            *quads = vnni!(_mm512_loadu_si512(words.as_ptr().cast()));
            if PART == UPPER {
                *quads = vnni!(_mm512_srli_epi32::<4>(*quads));
            }
            if PART != WHOLE {
                *quads = vnni!(_mm512_and_si512(*quads, _mm512_set1_epi8(15)));
            }
        }
        quads
    }

    #[inline(always)]
    fn load_floats(self, numbers: &Sums) -> Floats {
        let halves = numbers.as_chunks::<16>().0;
        vnni!([_mm512_loadu_ps(halves[0].as_ptr()), _mm512_loadu_ps(halves[1].as_ptr())])
    }

    #[inline(always)]
    fn store(self, numbers: Floats, out: &mut Sums) {
        let halves = out.as_chunks_mut::<16>().0;
        vnni! {{
            _mm512_storeu_ps(halves[0].as_mut_ptr(), numbers[0]);
            _mm512_storeu_ps(halves[1].as_mut_ptr(), numbers[1]);
        }}
    }

    /// `sums + scale * group.scales * integers + sum * group.biases`; no scale is 1.
    #[inline(always)]
    fn finish(
        self,
        group: &Group,
        integers: Integers,
        scale: Option<f32>,
        sum: f32,
        sums: Floats,
    ) -> Floats {
        let (scales, biases) = (self.load_floats(&group.scales), self.load_floats(&group.biases));
        let mut finished = sums;
        for half in 0..2 {
            finished[half] = vnni! {{
                let mut number = _mm512_cvtepi32_ps(integers[half]);
                if let Some(scale) = scale {
                    number = _mm512_mul_ps(number, _mm512_set1_ps(scale));
                }
                let scaled = _mm512_fmadd_ps(number, scales[half], sums[half]);
                _mm512_fmadd_ps(_mm512_set1_ps(sum), biases[half], scaled)
            }};
        }
        finished
    }
}

/// Two activations as they lie in memory.
#[inline(always)]
fn pair(a: i16, b: i16) -> i32 {
    i32::from(a) & 0xffff | i32::from(b) << 16
}

/// `_mm512_dpwssd_epi32`: adds to each sum the products of two pairs of 16 bits. The intrinsic will not
/// do: where a sum is added to twice, LLVM takes it apart into a product and a sum to shorten the
/// chain, but it is the number of instructions that counts here.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_products(mut sums: __m512i, a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the instruction is of the enabled features, and reads and writes its registers only.
    unsafe {
        asm!(
            "vpdpwssd {sums}, {a}, {b}",
            sums = inout(zmm_reg) sums,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    sums
}

impl Tile<i16> for Vnni {
    const ROWS: usize = 6;

    #[inline(always)]
    fn tile<const R: usize>(
        self,
        panel: Panel,
        rows: IntegerRows<i16>,
        first: usize,
        out: &mut [Sums; R],
    ) {
        let count = panel.words_per_group();
        let mut sums = [[vnni!(_mm512_setzero_ps()); 2]; R];
        for (place, group) in panel.groups.iter().enumerate() {
            let (words, values) =
                (&panel.words[place * count..][..count], rows.parts(first, place));
            let mut integers = [[vnni!(_mm512_setzero_si512()); 2]; R];
            if panel.narrow {
                let [lower, upper] = halves::<_, R>(values);
                self.dot_i16::<R, LOWER>(words, lower, &mut integers);
                self.dot_i16::<R, UPPER>(words, upper, &mut integers);
            } else {
                self.dot_i16::<R, WHOLE>(words, values, &mut integers);
            }
            for r in 0..R {
                let sum = rows.sum(first + r, place);
                sums[r] = self.finish(group, integers[r], None, sum, sums[r]);
            }
        }
        for (r, ([low, high], out)) in sums.into_iter().zip(out).enumerate() {
            let scale = vnni!(_mm512_set1_ps(rows.scale(first + r)));
            self.store(vnni!([_mm512_mul_ps(low, scale), _mm512_mul_ps(high, scale)]), out);
        }
    }
}

impl Tile<i8> for Vnni {
    const ROWS: usize = 6;

    #[inline(always)]
    fn tile<const R: usize>(
        self,
        panel: Panel,
        rows: IntegerRows<i8>,
        first: usize,
        out: &mut [Sums; R],
    ) {
        let count = panel.words_per_group();
        let mut sums = [[vnni!(_mm512_setzero_ps()); 2]; R];
        for (place, group) in panel.groups.iter().enumerate() {
            let (words, values) =
                (&panel.words[place * count..][..count], rows.parts(first, place));
            let mut integers = [[vnni!(_mm512_setzero_si512()); 2]; R];
            if panel.narrow {
                let [lower, upper] = halves::<_, R>(values);
                self.dot_i8::<R, LOWER>(words, lower, &mut integers);
                self.dot_i8::<R, UPPER>(words, upper, &mut integers);
            } else {
                self.dot_i8::<R, WHOLE>(words, values, &mut integers);
            }
            for r in 0..R {
                let (scale, sum) = (rows.scale(first + r, place), rows.sum(first + r, place));
                sums[r] = self.finish(group, integers[r], Some(scale), sum, sums[r]);
            }
        }
        for (sums, out) in sums.into_iter().zip(out) {
            self.store(sums, out);
        }
    }
}

/// Each row's part in two.
#[inline(always)]
fn halves<T, const R: usize>(values: [&[T]; R]) -> [[&[T]; R]; 2] {
    let mut halves = [values; 2];
    for row in 0..R {
        let (lower, upper) = values[row].split_at(values[row].len() / 2);
        [halves[0][row], halves[1][row]] = [lower, upper];
    }
    halves
}

impl Vnni {
    /// Adds the products of a group's quads, one in that `PART` of each word.
    #[inline(always)]
    fn dot_i16<const R: usize, const PART: u8>(
        self,
        words: &[Words],
        values: [&[[i16; QUAD]]; R],
        sums: &mut [Integers; R],
    ) {
        // Said once here, so that it need not be asked for every quad.
        assert!(values.iter().all(|row| row.len() == words.len()), "quads");
        let bytes = vnni!(_mm512_set1_epi16(0xff));
        // With few rows the sums wait for each other; twice as many wait half as long.
        let mut others = [[vnni!(_mm512_setzero_si512()); 2]; R];
        for (i, words) in words.iter().enumerate() {
            let quads = self.load::<PART>(words);
            for r in 0..R {
                let [a, b, _, _] = values[r][i];
                let both = vnni!(_mm512_set1_epi32(pair(a, b)));
                for half in 0..2 {
                    let even = vnni!(_mm512_and_si512(quads[half], bytes));
                    sums[r][half] = vnni!(add_products(sums[r][half], even, both));
                }
            }
            for r in 0..R {
                let [_, _, c, d] = values[r][i];
                let both = vnni!(_mm512_set1_epi32(pair(c, d)));
                let sums = if R <= 2 { &mut others } else { &mut *sums };
                for half in 0..2 {
                    let odd = vnni!(_mm512_srli_epi16::<8>(quads[half]));
                    sums[r][half] = vnni!(add_products(sums[r][half], odd, both));
                }
            }
        }
        if R <= 2 {
            for (sums, others) in sums.iter_mut().zip(others) {
                for half in 0..2 {
                    sums[half] = vnni!(_mm512_add_epi32(sums[half], others[half]));
                }
            }
        }
    }

    /// The same of 8-bit activations.
    #[inline(always)]
    fn dot_i8<const R: usize, const PART: u8>(
        self,
        words: &[Words],
        values: [&[[i8; QUAD]]; R],
        sums: &mut [Integers; R],
    ) {
        assert!(values.iter().all(|row| row.len() == words.len()), "quads");
        for (i, words) in words.iter().enumerate() {
            let quads = self.load::<PART>(words);
            for r in 0..R {
                let [a, c, b, d] = values[r][i];
                let four =
                    vnni!(_mm512_set1_epi32(i32::from_le_bytes([a, c, b, d].map(|x| x as u8))));
                for half in 0..2 {
                    sums[r][half] = vnni!(_mm512_dpbusd_epi32(sums[r][half], quads[half], four));
                }
            }
        }
    }
}
