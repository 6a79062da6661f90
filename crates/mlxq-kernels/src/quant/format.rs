//! One name for all formats, and weights packed in one of them.

use super::{Affine, Floating};
use crate::float::Float;

/// A quantization format of MLX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A scale and a bias per group.
    Affine(Affine),
    /// Small floats with a scale per group.
    Floating(Floating),
}

/// What stands beside the elements of packed weights.
#[derive(Debug, Clone, PartialEq)]
pub enum Scales {
    /// Of [`Format::Affine`]: one number of each per group.
    Affine {
        /// The steps.
        scales: Vec<f32>,
        /// The values of code 0.
        biases: Vec<f32>,
    },
    /// Of [`Format::Floating`]: one byte per group.
    Floating(Vec<u8>),
}

/// Weights in a quantization format.
#[derive(Debug, Clone, PartialEq)]
pub struct Packed {
    /// The format.
    pub format: Format,
    /// The elements, [`Format::words`] of them.
    pub words: Vec<u32>,
    /// Scales, and biases if the format has any.
    pub scales: Scales,
}

impl Format {
    /// The names of the modes, affine first.
    pub const MODES: [&str; 4] = ["affine", "mxfp4", "mxfp8", "nvfp4"];

    /// The format that MLX calls `mode`, with `bits` per weight in groups of `group_size`; what is not
    /// given is 8 bits in groups of 64 for affine, and the only choice of the other modes.
    ///
    /// # Errors
    /// With what there is, when MLX has no such format.
    pub fn new(mode: &str, bits: Option<u32>, group_size: Option<usize>) -> Result<Self, String> {
        if mode == "affine" {
            let (bits, group_size) = (bits.unwrap_or(8), group_size.unwrap_or(64));
            return Affine::new(bits, group_size).map(Self::Affine).ok_or_else(|| {
                format!(
                    "{bits} bits in groups of {group_size} are no affine format: bits are {:?}, groups {:?}",
                    Affine::BITS,
                    Affine::GROUP_SIZES
                )
            });
        }
        let known = Floating::ALL.into_iter().find(|known| known.name() == mode);
        let floating =
            known.ok_or_else(|| format!("mode `{mode}` is none of {}", Self::MODES.join(", ")))?;
        let (only_bits, only_size) = (floating.bits(), floating.group_size());
        if bits.is_some_and(|bits| bits != only_bits)
            || group_size.is_some_and(|size| size != only_size)
        {
            return Err(format!(
                "{mode} has {only_bits} bits in groups of {only_size} and no others"
            ));
        }
        Ok(Self::Floating(floating))
    }

    /// The mode's name in configurations.
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Affine(_) => "affine",
            Self::Floating(floating) => floating.name(),
        }
    }

    /// Bits per weight, scales not counted.
    pub fn bits(&self) -> u32 {
        match self {
            Self::Affine(affine) => affine.bits(),
            Self::Floating(floating) => floating.bits(),
        }
    }

    /// Weights per scale, along the last dimension.
    pub fn group_size(&self) -> usize {
        match self {
            Self::Affine(affine) => affine.group_size(),
            Self::Floating(floating) => floating.group_size(),
        }
    }

    /// The number of 32-bit words that hold `elements` weights.
    pub fn words(&self, elements: usize) -> usize {
        elements * self.bits() as usize / 32
    }
}

impl Packed {
    /// Restores the weights from number `start` on, `out.len()` of them, both whole groups, in the
    /// format `float`, as `mx.dequantize` does; with [`Float::F32`] nothing is rounded away.
    ///
    /// # Panics
    /// When the weights end before, or the parts are no whole groups.
    pub fn restore(&self, float: Float, start: usize, out: &mut [f32]) {
        let size = self.format.group_size();
        assert!(start.is_multiple_of(size) && out.len().is_multiple_of(size), "no whole groups");
        let groups = start / size..(start + out.len()) / size;
        let words = &self.words[self.format.words(start)..self.format.words(start + out.len())];
        match (&self.format, &self.scales) {
            (Format::Affine(affine), Scales::Affine { scales, biases }) => {
                affine.dequantize(float, words, &scales[groups.clone()], &biases[groups], out);
            }
            (Format::Floating(floating), Scales::Floating(scales)) => {
                floating.dequantize(float, words, &scales[groups], out);
            }
            _ => panic!("the scales are those of another format"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Encoded;

    #[test]
    fn formats_are_those_of_mlx() {
        assert_eq!(
            Format::new("affine", None, None).map(|f| (f.bits(), f.group_size())),
            Ok((8, 64))
        );
        assert_eq!(Format::new("mxfp8", Some(8), Some(32)).map(|f| f.mode()), Ok("mxfp8"));
        assert_eq!(Format::new("nvfp4", None, None).map(|f| f.words(16)), Ok(2));
        for (mode, bits, size) in [
            ("affine", Some(7), None),
            ("mxfp4", Some(8), None),
            ("nvfp4", None, Some(32)),
            ("int8", None, None),
        ] {
            assert!(Format::new(mode, bits, size).is_err(), "{mode} {bits:?} {size:?}");
        }
    }

    #[test]
    fn parts_are_restored_like_the_whole() {
        let values: Vec<f32> = (0..512).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
        let (mut bytes, mut encoded) = (Vec::new(), Encoded::default());
        Float::F32.encode(&values, &mut bytes);
        for mode in Format::MODES {
            let format = Format::new(mode, None, None).expect("a format");
            assert!(format.encode(Float::F32, Float::F32, &bytes, &mut encoded));
            let packed = packed(format, &encoded);
            let (mut whole, mut part) = (vec![0.0; 512], vec![0.0; 128]);
            packed.restore(Float::F32, 0, &mut whole);
            packed.restore(Float::F32, 256, &mut part);
            assert_eq!(part, whole[256..384], "{mode}");
        }
    }

    fn packed(format: Format, encoded: &Encoded) -> Packed {
        let numbers = |bytes: &[u8]| {
            let mut numbers = vec![0.0; bytes.len() / 4];
            Float::F32.decode(bytes, &mut numbers);
            numbers
        };
        let words = encoded.words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let scales = match format {
            Format::Affine(_) => Scales::Affine {
                scales: numbers(&encoded.scales),
                biases: numbers(&encoded.biases),
            },
            Format::Floating(_) => Scales::Floating(encoded.scales.clone()),
        };
        Packed { format, words: words.collect(), scales }
    }
}
