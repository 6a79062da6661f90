//! Packed weights as they stand in a file, borrowed: little-endian, wherever they begin.

use super::{Format, Packed, Scales};
use crate::float::Float;

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
    /// [`Packed::restore`] does in f32.
    ///
    /// # Panics
    /// When the weights end before, or the parts are no whole groups.
    pub fn restore(&self, start: usize, out: &mut [f32]) {
        let (size, end) = (self.format.group_size(), start + out.len());
        assert!(start.is_multiple_of(size) && end.is_multiple_of(size), "no whole groups");
        let words = &self.words[4 * self.format.words(start)..4 * self.format.words(end)];
        let words = words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let groups = start / size..end / size;
        let scales = match self.format {
            Format::Affine(_) => Scales::Affine {
                scales: self.numbers(self.scales, groups.start..groups.end),
                biases: self.numbers(self.biases, groups),
            },
            Format::Floating(_) => Scales::Floating(self.scales[groups].to_vec()),
        };
        Packed { format: self.format, words, scales }.restore(Float::F32, 0, out);
    }

    fn numbers(&self, bytes: &[u8], range: std::ops::Range<usize>) -> Vec<f32> {
        let size = self.float.size();
        let mut numbers = vec![0.0; range.len()];
        self.float.decode(&bytes[range.start * size..range.end * size], &mut numbers);
        numbers
    }
}
