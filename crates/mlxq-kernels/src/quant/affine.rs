//! MLX's affine mode: a group of weights is `scale * code + bias`.
//!
//! Follows the CPU code of mlx 0.32 (`backend/cpu/quantized.cpp`) operation by operation, so that
//! words, scales and biases are the same bits: true divisions, one rounding per operation, no fused
//! multiply-add. Code 0 is the end of the group with the larger magnitude, and 0.0 falls on a code.

use super::bytes::{Block, Kernel};
use super::packing;
use crate::float::Float;
use crate::simd::{Greatest, LANES, Least, Number, Simd, load_as};

/// The smallest step: a group whose range is below it is stored with this one.
const EPSILON: f32 = 1e-7;

/// Affine quantization with a number of bits and a group size that MLX has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Affine {
    bits: u32,
    group_size: usize,
}

impl Affine {
    /// The numbers of bits that MLX packs and this crate supports.
    pub const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];
    /// The group sizes that MLX supports.
    pub const GROUP_SIZES: [usize; 3] = [32, 64, 128];
    pub(super) const LARGEST_GROUP: usize = 128;

    /// The format with `bits` per code and one scale and bias per `group_size` weights along the last
    /// dimension; `None` when MLX has no such format.
    pub fn new(bits: u32, group_size: usize) -> Option<Self> {
        let known = Self::BITS.contains(&bits) && Self::GROUP_SIZES.contains(&group_size);
        known.then_some(Self { bits, group_size })
    }

    /// Bits per code.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Weights per scale and bias.
    pub fn group_size(&self) -> usize {
        self.group_size
    }

    /// The number of 32-bit words that hold `elements` codes.
    pub fn words(&self, elements: usize) -> usize {
        elements * self.bits as usize / 32
    }

    /// Restores whole groups: `round(round(code * scale) + bias)` in the format `float`, as
    /// `mx.dequantize` computes it; with [`Float::F32`] nothing is rounded away.
    ///
    /// # Panics
    /// When the slices' lengths do not fit together.
    pub fn dequantize(
        &self,
        float: Float,
        words: &[u32],
        scales: &[f32],
        biases: &[f32],
        values: &mut [f32],
    ) {
        self.check_lengths(values.len(), words, scales, biases);
        let words_per_group = self.words(self.group_size);
        let mut codes = [0; Self::LARGEST_GROUP];
        let codes = &mut codes[..self.group_size];
        let groups =
            values.chunks_exact_mut(self.group_size).zip(words.chunks_exact(words_per_group));
        for ((group, words), (scale, bias)) in groups.zip(scales.iter().zip(biases)) {
            packing::unpack(self.bits, words, codes);
            for (value, &code) in group.iter_mut().zip(&*codes) {
                *value = float.round(float.round(f32::from(code) * scale) + bias);
            }
        }
    }

    fn largest_code(&self) -> f32 {
        ((1u32 << self.bits) - 1) as f32
    }

    fn check_lengths(&self, values: usize, words: &[u32], scales: &[f32], biases: &[f32]) {
        assert!(values.is_multiple_of(self.group_size), "{values} values are not whole groups");
        assert_eq!(words.len(), self.words(values), "words");
        assert_eq!(scales.len(), values / self.group_size, "scales");
        assert_eq!(biases.len(), values / self.group_size, "biases");
    }

    /// Scale and bias of a group between `low` and `high`, before they are rounded to be stored.
    #[inline(always)]
    fn map(&self, low: f32, high: f32) -> (f32, f32) {
        let step = (high - low) / self.largest_code();
        // A NaN step, from infinite ends, stays NaN as in MLX: hence not `max`.
        let step = if step < EPSILON { EPSILON } else { step };
        let low_is_larger = low.abs() > high.abs();
        let step = if low_is_larger { step } else { -step };
        let edge = if low_is_larger { low } else { high };
        let zero_code = (edge / step).round_ties_even();
        let has_zero = zero_code == 0.0;
        let exact = edge / zero_code;
        (if has_zero { step } else { exact }, if has_zero { 0.0 } else { edge })
    }
}

impl Kernel for Affine {
    #[inline(always)]
    fn block<S: Simd, From: Number, To: Number>(
        self,
        simd: S,
        numbers: &[u8],
        out: Block<'_>,
    ) -> S::Floats {
        let groups = || numbers.chunks_exact(self.group_size / LANES * From::BYTES);
        let mut lows = [simd.splat(f32::INFINITY); LANES];
        let mut highs = [simd.splat(f32::NEG_INFINITY); LANES];
        let mut largest = simd.splat(0.0);
        for ((group, low), high) in groups().zip(&mut lows).zip(&mut highs) {
            for chunk in group.chunks_exact(From::BYTES) {
                let values = load_as::<S, From, To>(simd, chunk);
                *low = simd.least(values, *low);
                *high = simd.greatest(values, *high);
                largest = simd.largest(values, largest);
            }
        }
        let lows = simd.array(simd.reduce_rows(&lows, Least));
        let highs = simd.array(simd.reduce_rows(&highs, Greatest));
        let (mut scales, mut biases) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            (scales[lane], biases[lane]) = self.map(lows[lane], highs[lane]);
        }
        To::store(simd, simd.vector(&scales), out.scales);
        To::store(simd, simd.vector(&biases), out.biases);

        let mut unpacked = [0; LANES * Self::LARGEST_GROUP];
        let codes = match self.bits {
            8 => &mut *out.words,
            _ => &mut unpacked[..LANES * self.group_size],
        };
        let limit = simd.splat(self.largest_code());
        let coded = groups().zip(codes.chunks_exact_mut(self.group_size));
        for ((group, codes), (scale, bias)) in coded.zip(scales.into_iter().zip(biases)) {
            let (scale, bias) = (simd.splat(scale), simd.splat(bias));
            let chunks = group.chunks_exact(From::BYTES).zip(codes.as_chunks_mut().0);
            for (chunk, codes) in chunks {
                simd.store_codes(
                    simd.div(simd.sub(load_as::<S, From, To>(simd, chunk), bias), scale),
                    limit,
                    codes,
                );
            }
        }
        if self.bits != 8 {
            packing::pack(self.bits, &unpacked[..LANES * self.group_size], out.words);
        }
        largest
    }
}
