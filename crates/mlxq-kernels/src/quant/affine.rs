//! MLX's affine mode: a group of weights is `scale * code + bias`.
//!
//! Follows the CPU code of mlx 0.32 (`backend/cpu/quantized.cpp`) operation by operation, so that
//! words, scales and biases are the same bits: true divisions, one rounding per operation, no fused
//! multiply-add. Code 0 is the end of the group with the larger magnitude, and 0.0 falls on a code.

use super::packing;
use crate::float::Float;
use crate::isa::multiversion;

/// The smallest step: a group whose range is below it is stored with this one.
const EPSILON: f32 = 1e-7;

/// Affine quantization with a number of bits and a group size that MLX has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Affine {
    bits: u32,
    group_size: usize,
}

/// The affine map of one group, before rounding to the stored format.
struct Map {
    scale: f32,
    bias: f32,
}

impl Affine {
    /// The numbers of bits that MLX packs and this crate supports.
    pub const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];
    /// The group sizes that MLX supports.
    pub const GROUP_SIZES: [usize; 3] = [32, 64, 128];

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

    /// Quantizes whole groups of `values`, which are numbers of the format `float`.
    ///
    /// `words` has [`Self::words`] elements, `scales` and `biases` one per group; the latter come out
    /// rounded to `float`, while the codes follow from the unrounded ones.
    ///
    /// # Panics
    /// When the slices' lengths do not fit together.
    pub fn quantize(
        &self,
        float: Float,
        values: &[f32],
        words: &mut [u32],
        scales: &mut [f32],
        biases: &mut [f32],
    ) {
        self.check_lengths(values.len(), words, scales, biases);
        let words_per_group = self.words(self.group_size);
        let mut codes = vec![0; self.group_size];
        let groups =
            values.chunks_exact(self.group_size).zip(words.chunks_exact_mut(words_per_group));
        for ((group, words), (scale, bias)) in groups.zip(scales.iter_mut().zip(biases)) {
            let map = self.map(group);
            encode(group, map.scale, map.bias, self.largest_code(), &mut codes);
            packing::pack(self.bits, &codes, words);
            *scale = float.round(map.scale);
            *bias = float.round(map.bias);
        }
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
        let mut codes = vec![0; self.group_size];
        let groups =
            values.chunks_exact_mut(self.group_size).zip(words.chunks_exact(words_per_group));
        for ((group, words), (scale, bias)) in groups.zip(scales.iter().zip(biases)) {
            packing::unpack(self.bits, words, &mut codes);
            for (value, &code) in group.iter_mut().zip(&codes) {
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

    fn map(&self, group: &[f32]) -> Map {
        let mut ends = [0.0; 2];
        range(group, &mut ends);
        let [low, high] = ends;
        let step = (high - low) / self.largest_code();
        // A NaN step, from infinite ends, stays NaN as in MLX: hence not `max`.
        let step = if step < EPSILON { EPSILON } else { step };
        let (step, edge) = if low.abs() > high.abs() { (step, low) } else { (-step, high) };
        let zero_code = (edge / step).round_ties_even();
        if zero_code == 0.0 {
            Map { scale: step, bias: 0.0 }
        } else {
            Map { scale: edge / zero_code, bias: edge }
        }
    }
}

multiversion! {
    /// The smallest and the largest number of `group`; NaN counts as neither.
    fn range(group: &[f32], ends: &mut [f32; 2]) {
        const LANES: usize = 16;
        let (mut low, mut high) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        for chunk in group.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                low[lane] = if chunk[lane] < low[lane] { chunk[lane] } else { low[lane] };
                high[lane] = if chunk[lane] > high[lane] { chunk[lane] } else { high[lane] };
            }
        }
        *ends = [
            low.into_iter().fold(f32::INFINITY, |a, b| if b < a { b } else { a }),
            high.into_iter().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a }),
        ];
    }
}

multiversion! {
    /// The nearest codes of `group`, ties to even, clamped to `0..=largest`; NaN becomes 0.
    fn encode(group: &[f32], scale: f32, bias: f32, largest: f32, codes: &mut [u8]) {
        // Adding and taking away 1.5 * 2^23 leaves the nearest integer, ties to even, of any number
        // in 0..=255 under IEEE rounding; `round_ties_even` is a call without SSE4.1.
        const NEAREST: f32 = 12_582_912.0;
        for (code, &value) in codes.iter_mut().zip(group) {
            let exact = (value - bias) / scale;
            let above = if exact > 0.0 { exact } else { 0.0 };
            let clamped = if above < largest { above } else { largest };
            *code = ((clamped + NEAREST) - NEAREST) as i32 as u8;
        }
    }
}
