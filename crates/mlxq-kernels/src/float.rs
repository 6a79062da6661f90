//! The float formats of weights: f32, f16 and bf16, to and from `f32`.

use half::{bf16, f16};

/// A float format of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Float {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// bfloat16: the upper half of an f32.
    BF16,
}

impl Float {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::BF16];

    /// The name in configurations: `float32`, `float16`, `bfloat16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
        }
    }

    /// The format called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|float| float.name() == name)
    }

    /// Bytes of one number.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// The largest finite magnitude of the format.
    pub fn max(self) -> f32 {
        match self {
            Self::F32 => f32::MAX,
            Self::F16 => f16::MAX.to_f32(),
            Self::BF16 => bf16::MAX.to_f32(),
        }
    }

    /// The nearest number of this format, ties to even.
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => f16::from_f32(value).to_f32(),
            Self::BF16 => bf16::from_f32(value).to_f32(),
        }
    }

    /// Reads little-endian numbers of this format, exactly.
    ///
    /// # Panics
    /// When `bytes` is not `out.len()` numbers long.
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        assert_eq!(bytes.len(), out.len() * self.size(), "bytes and numbers differ in length");
        match self {
            Self::F32 => {
                for (number, chunk) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *number = f32::from_le_bytes(*chunk);
                }
            }
            Self::F16 => {
                for (number, chunk) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *number = f16::from_le_bytes(*chunk).to_f32();
                }
            }
            Self::BF16 => {
                for (number, chunk) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *number = bf16::from_le_bytes(*chunk).to_f32();
                }
            }
        }
    }

    /// Appends `values` as little-endian numbers of this format, each rounded to the nearest, ties to
    /// even; values beyond the format's range become infinite.
    pub fn encode(self, values: &[f32], out: &mut Vec<u8>) {
        out.reserve(values.len() * self.size());
        match self {
            Self::F32 => values.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
            Self::F16 => {
                values.iter().for_each(|x| out.extend_from_slice(&f16::from_f32(*x).to_le_bytes()));
            }
            Self::BF16 => {
                values
                    .iter()
                    .for_each(|x| out.extend_from_slice(&bf16::from_f32(*x).to_le_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(float: Float, value: f32) -> Vec<u8> {
        let mut bytes = Vec::new();
        float.encode(&[value], &mut bytes);
        bytes
    }

    /// IEEE 754 by hand: 65520 lies half-way between 65504, the largest f16, and 2^16.
    #[test]
    fn f16_rounds_to_even_at_its_limit() {
        assert_eq!(encoded(Float::F16, 65519.996), 0x7bffu16.to_le_bytes());
        assert_eq!(encoded(Float::F16, 65520.0), 0x7c00u16.to_le_bytes());
        assert_eq!(encoded(Float::F16, 5.960_464_5e-8), 0x0001u16.to_le_bytes());
    }

    /// By hand: 1 + 2^-8 lies half-way between two bf16 numbers and goes to the even one.
    #[test]
    fn bf16_rounds_to_even() {
        assert_eq!(encoded(Float::BF16, 1.0 + 1.0 / 256.0), 0x3f80u16.to_le_bytes());
        assert_eq!(encoded(Float::BF16, 1.0 + 3.0 / 256.0), 0x3f82u16.to_le_bytes());
    }

    #[test]
    fn every_half_survives_a_round_trip() {
        for float in [Float::F16, Float::BF16] {
            for bits in 0..=u16::MAX {
                let mut number = [0.0];
                float.decode(&bits.to_le_bytes(), &mut number);
                if number[0].is_nan() {
                    continue;
                }
                assert_eq!(encoded(float, number[0]), bits.to_le_bytes(), "{float:?} {bits:#06x}");
            }
        }
    }
}
