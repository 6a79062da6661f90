//! The float formats of weights: f32, f16 and bf16, to and from `f32` and each other.

use std::marker::PhantomData;

use crate::isa::Isa;
use crate::simd::{Number, Simd, Work, with_numbers};

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
            Self::F16 => 65504.0,
            Self::BF16 => from_bf16(0x7f7f),
        }
    }

    /// The nearest number of this format, ties to even.
    pub fn round(self, value: f32) -> f32 {
        match self {
            Self::F32 => value,
            Self::F16 => from_f16(to_f16(value)),
            Self::BF16 => from_bf16(to_bf16(value)),
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
                    *number = from_f16(u16::from_le_bytes(*chunk));
                }
            }
            Self::BF16 => {
                for (number, chunk) in out.iter_mut().zip(bytes.as_chunks::<2>().0) {
                    *number = from_bf16(u16::from_le_bytes(*chunk));
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
                values.iter().for_each(|x| out.extend_from_slice(&to_f16(*x).to_le_bytes()))
            }
            Self::BF16 => {
                values.iter().for_each(|x| out.extend_from_slice(&to_bf16(*x).to_le_bytes()));
            }
        }
    }

    /// Casts little-endian numbers of this format to `to`, as MLX does: to the nearest, ties to even,
    /// infinite beyond the range; the NaNs of f16 become 7D00 with their sign, those of bf16 7FC0. The
    /// same format is copied. What `out` held is replaced; its memory is used again.
    ///
    /// Returns whether all results are finite.
    ///
    /// # Panics
    /// When `bytes` are not whole numbers.
    #[must_use]
    pub fn convert(self, to: Self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        self.convert_on(Isa::current(), to, bytes, out)
    }

    pub(crate) fn convert_on(self, isa: Isa, to: Self, bytes: &[u8], out: &mut Vec<u8>) -> bool {
        assert!(bytes.len().is_multiple_of(self.size()), "{} bytes: no numbers", bytes.len());
        out.resize(bytes.len() / self.size() * to.size(), 0);
        if self == to {
            out.copy_from_slice(bytes);
        }
        with_numbers!(self, to, From, To => {
            isa.run(Convert { bytes, out, copied: self == to, formats: PhantomData::<(From, To)> })
        })
    }
}

/// [`Float::convert`] between two formats.
struct Convert<'a, From, To> {
    bytes: &'a [u8],
    out: &'a mut [u8],
    /// Whether `out` is filled already, and only finiteness is asked for.
    copied: bool,
    formats: PhantomData<(From, To)>,
}

impl<From: Number, To: Number> Work for Convert<'_, From, To> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self { bytes, out, copied, .. } = self;
        let mut largest = simd.splat(0.0);
        let whole = bytes.chunks_exact(From::BYTES);
        let rest = whole.remainder();
        let mut out = out.chunks_exact_mut(To::BYTES);
        for (bytes, out) in whole.zip(out.by_ref()) {
            let numbers = From::load(simd, bytes);
            largest = simd.largest(To::round(simd, numbers), largest);
            if !copied {
                To::store(simd, numbers, out);
            }
        }
        let (mut padded, mut last, out) = ([0; 64], [0; 64], out.into_remainder());
        padded[..rest.len()].copy_from_slice(rest);
        let numbers = From::load(simd, &padded);
        largest = simd.largest(To::round(simd, numbers), largest);
        if !copied {
            To::store(simd, numbers, &mut last);
            out.copy_from_slice(&last[..out.len()]);
        }
        simd.array(largest).iter().all(|magnitude| magnitude.is_finite())
    }
}

// The closed forms below have no branches, so that loops over them are vectorized.

/// The f16 nearest to `x`; NaNs become 7D00 with their sign, as in MLX.
#[inline(always)]
pub(crate) fn to_f16(x: f32) -> u16 {
    let magnitude = x.to_bits() & 0x7fff_ffff;
    let sign = (x.to_bits() >> 16) as u16 & 0x8000;
    // Below 2^-14 the numbers are multiples of 2^-24, the last place of 0.5.
    let small = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0x3f00_0000);
    // From there on the exponent's bias is 112 less, and 13 bits are rounded away.
    let odd = magnitude >> 13 & 1;
    let normal = magnitude.wrapping_sub(0x3800_0000).wrapping_add(0xfff + odd) >> 13;
    let finite = if magnitude < 0x3880_0000 { small } else { normal };
    let number = if magnitude < 0x477f_f000 { finite } else { 0x7c00 };
    let half = if magnitude <= 0x7f80_0000 { number } else { 0x7d00 };
    half as u16 | sign
}

/// The value of an f16; NaNs come out quiet.
#[inline(always)]
pub(crate) fn from_f16(half: u16) -> f32 {
    const TWO_TO_112: f32 = f32::from_bits(0x7780_0000);
    let magnitude = u32::from(half & 0x7fff) << 13;
    let sign = u32::from(half & 0x8000) << 16;
    // The product is exact and also right for subnormals; only exponent 31 means something else.
    let number = (f32::from_bits(magnitude) * TWO_TO_112).to_bits();
    let infinite = if magnitude < 0x0f80_0000 { 0 } else { 0x7f80_0000 };
    let quiet = if magnitude <= 0x0f80_0000 { 0 } else { 0x0040_0000 };
    f32::from_bits(number | infinite | quiet | sign)
}

/// The bf16 nearest to `x`; NaNs become 7FC0, as in MLX.
#[inline(always)]
pub(crate) fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    if x.is_nan() { 0x7fc0 } else { rounded as u16 }
}

/// The value of a bf16.
#[inline(always)]
pub(crate) fn from_bf16(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
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
