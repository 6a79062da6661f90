//! Packed weights as they stand in a file, borrowed: little-endian, wherever they begin.

use super::{Affine, Format};
use crate::float::Float;

/// Words of the largest group of any format.
const GROUP_WORDS: usize = Affine::LARGEST_GROUP * 8 / 32;

/// Bytes of packed weights, row-major.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// How they are packed.
    pub format: Format,
    /// The format of affine scales and biases.
    pub float: Float,
    /// The elements, as words of 32 bits.
    pub words: &'a [u8],
    /// One number of `float` per group, or one byte in the floating-point modes.
    pub scales: &'a [u8],
    /// One number of `float` per group; empty in the floating-point modes.
    pub biases: &'a [u8],
}

impl Stored<'_> {
    /// Whether the parts are those of `elements` weights, whole groups.
    pub fn holds(&self, elements: usize) -> bool {
        let groups = elements / self.format.group_size();
        let (scales, biases) = match self.format {
            Format::Affine(_) => (groups * self.float.size(), groups * self.float.size()),
            Format::Floating(_) => (groups, 0),
        };
        elements.is_multiple_of(self.format.group_size())
            && self.words.len() == 4 * self.format.words(elements)
            && self.scales.len() == scales
            && self.biases.len() == biases
    }

    /// Restores the weights from number `start` on, `out.len()` of them, both whole groups, as
    /// [`Packed::restore`](super::Packed::restore) does in f32.
    ///
    /// # Panics
    /// When the weights end before, or the parts are no whole groups.
    pub fn restore(&self, start: usize, out: &mut [f32]) {
        let (size, end) = (self.format.group_size(), start + out.len());
        assert!(start.is_multiple_of(size) && end.is_multiple_of(size), "no whole groups");
        // Group by group, so that looking up a row of a table takes no memory.
        let words_per_group = self.format.words(size);
        let mut words = [0; GROUP_WORDS];
        let words = &mut words[..words_per_group];
        for (group, out) in (start / size..end / size).zip(out.chunks_exact_mut(size)) {
            let bytes = &self.words[4 * words_per_group * group..][..4 * words_per_group];
            for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
                *word = u32::from_le_bytes(*bytes);
            }
            match self.format {
                Format::Affine(affine) => {
                    let [scale, bias] =
                        [self.scales, self.biases].map(|bytes| [self.number(bytes, group)]);
                    affine.dequantize(Float::F32, words, &scale, &bias, out);
                }
                Format::Floating(floating) => {
                    floating.dequantize(Float::F32, words, &self.scales[group..=group], out);
                }
            }
        }
    }

    /// Number `place` of `bytes` in the format of scales and biases.
    fn number(&self, bytes: &[u8], place: usize) -> f32 {
        let (size, mut number) = (self.float.size(), [0.0]);
        self.float.decode(&bytes[place * size..(place + 1) * size], &mut number);
        number[0]
    }
}
