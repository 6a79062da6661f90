//! MLX's floating-point modes: small floats that share a scale of eight bits per group, without bias.
//!
//! mxfp4 and mxfp8 follow the OCP Microscaling formats (v1.0) with a power of two as scale (E8M0), nvfp4
//! has an E4M3 scale for 16 values. The arithmetic is that of mlx 0.32.4 on the CPU, operation by
//! operation, where it differs from those texts: scales round up, ties of fp4 go towards zero, negative
//! values that round to zero lose their sign, and the byte of a scale below 2^-127 wraps.

use super::bytes::{Block, Kernel};
use super::packing;
use crate::float::Float;
use crate::simd::{LANES, Largest, Number, Simd, load_as};

/// A floating-point mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Floating {
    /// E2M1 elements, E8M0 scale of 32.
    Mxfp4,
    /// E4M3 elements, E8M0 scale of 32.
    Mxfp8,
    /// E2M1 elements, E4M3 scale of 16.
    Nvfp4,
}

/// The values of the sixteen E2M1 codes.
const E2M1: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

impl Floating {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Mxfp4, Self::Mxfp8, Self::Nvfp4];
    const LARGEST_GROUP: usize = 32;

    /// The mode's name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mxfp4 => "mxfp4",
            Self::Mxfp8 => "mxfp8",
            Self::Nvfp4 => "nvfp4",
        }
    }

    /// Bits per element.
    pub fn bits(self) -> u32 {
        if self == Self::Mxfp8 { 8 } else { 4 }
    }

    /// Elements per scale.
    pub fn group_size(self) -> usize {
        if self == Self::Nvfp4 { 16 } else { 32 }
    }

    /// Restores whole groups in the format `float`, as `mx.dequantize` with that dtype.
    pub(super) fn dequantize(self, float: Float, words: &[u32], scales: &[u8], values: &mut [f32]) {
        let size = self.group_size();
        let mut codes = [0; 32];
        let groups = values.chunks_exact_mut(size).zip(words.chunks_exact(self.words_per_group()));
        for ((group, words), byte) in groups.zip(scales) {
            packing::unpack(self.bits(), words, &mut codes[..size]);
            let scale = match self {
                Self::Nvfp4 => from_e4m3(*byte),
                _ => float.round(power_of_two(i32::from(*byte) - 127)),
            };
            for (value, code) in group.iter_mut().zip(codes) {
                let element = match self {
                    Self::Mxfp8 => from_e4m3(code),
                    _ => E2M1[usize::from(code)],
                };
                *value = float.round(element * scale);
            }
        }
    }

    fn words_per_group(self) -> usize {
        self.group_size() * self.bits() as usize / 32
    }

    /// The magnitude of the largest element.
    fn largest_element(self) -> f32 {
        if self == Self::Mxfp8 { 448.0 } else { 6.0 }
    }

    /// The divisor of a group's elements and the byte that stands for it, where `wanted` is the
    /// group's largest magnitude over [`Self::largest_element`].
    #[inline(always)]
    fn scale<To: Number>(self, wanted: f32) -> (f32, u8) {
        if self == Self::Nvfp4 {
            let byte = to_e4m3(wanted);
            return (from_e4m3(byte), byte);
        }
        if !wanted.is_finite() {
            // What mlx's byte comes to; see `code_of_no_scale` for the elements.
            return (f32::INFINITY, if To::FLOAT == Float::F32 { 0x80 } else { 0 });
        }
        let exponent = if wanted == 0.0 { 0 } else { ceil_log2(wanted) };
        // The cast of mlx wraps where the exponent does not fit a byte.
        (power_of_two(exponent), (exponent + 127) as u8)
    }

    /// Codes of `scaled` elements, `largest` the largest magnitude among them.
    #[inline(always)]
    fn codes(self, scaled: &[f32], largest: f32, codes: &mut [u8]) {
        // From here on the distances to all values of E2M1 are the same f32, which mlx computes in even
        // where the weights are halves.
        const ALIKE: f32 = 33_554_444.0;
        let pairs = codes.iter_mut().zip(scaled);
        if self == Self::Mxfp8 {
            pairs.for_each(|(code, x)| *code = to_e4m3(*x));
        } else if largest < ALIKE {
            pairs.for_each(|(code, x)| *code = to_e2m1(*x));
        } else {
            pairs.for_each(|(code, x)| *code = to_first_e2m1(*x));
        }
    }
}

impl Kernel for Floating {
    #[inline(always)]
    fn block<S: Simd, From: Number, To: Number>(
        self,
        simd: S,
        numbers: &[u8],
        out: Block<'_>,
    ) -> S::Floats {
        let size = self.group_size();
        let groups = || numbers.chunks_exact(size / LANES * From::BYTES);
        let mut magnitudes = [simd.splat(0.0); LANES];
        let mut largest = simd.splat(0.0);
        for (group, magnitude) in groups().zip(&mut magnitudes) {
            for chunk in group.chunks_exact(From::BYTES) {
                *magnitude = simd.largest(load_as::<S, From, To>(simd, chunk), *magnitude);
            }
            largest = simd.largest(*magnitude, largest);
        }
        let magnitudes = simd.reduce_rows(&magnitudes, Largest);
        let wanted = simd.div(magnitudes, simd.splat(self.largest_element()));
        let wanted = simd.array(To::round(simd, wanted));

        let mut scaled = [0.0; LANES * Self::LARGEST_GROUP];
        let mut largest_scaled = simd.splat(0.0);
        let bytes = out.scales.iter_mut().zip(wanted);
        for ((group, scaled), (byte, wanted)) in
            groups().zip(scaled.chunks_exact_mut(size)).zip(bytes)
        {
            let (divisor, stored) = self.scale::<To>(wanted);
            *byte = stored;
            let divisor = simd.splat(divisor);
            let chunks = group.chunks_exact(From::BYTES).zip(scaled.as_chunks_mut().0);
            for (chunk, scaled) in chunks {
                let values =
                    To::round(simd, simd.div(load_as::<S, From, To>(simd, chunk), divisor));
                largest_scaled = simd.largest(values, largest_scaled);
                *scaled = simd.array(values);
            }
        }
        let scaled = &scaled[..LANES * size];
        let mut unpacked = [0; LANES * Self::LARGEST_GROUP];
        let codes = &mut unpacked[..LANES * size];
        let largest_scaled = simd.array(largest_scaled).into_iter().fold(0.0, larger);
        self.codes(scaled, largest_scaled, codes);
        if self == Self::Mxfp8 {
            let groups = groups().zip(codes.chunks_exact_mut(size)).zip(wanted);
            for ((group, codes), _) in groups.filter(|(_, wanted)| !wanted.is_finite()) {
                let chunks = group.chunks_exact(From::BYTES).zip(codes.as_chunks_mut::<LANES>().0);
                for (chunk, codes) in chunks {
                    *codes =
                        simd.array(load_as::<S, From, To>(simd, chunk)).map(code_of_no_scale::<To>);
                }
            }
        }
        packing::pack(self.bits(), codes, out.words);
        largest
    }
}

/// The larger number; NaN is larger than all.
fn larger(a: f32, b: f32) -> f32 {
    if a.is_nan() || a > b { a } else { b }
}

/// The code of mxfp8 for an element of a group with a NaN or an infinity in it: mlx's scale is 0, and the
/// quotient ±infinity, or for 0 / 0 the NaN of x86, whose sign is set where the format keeps it.
fn code_of_no_scale<To: Number>(x: f32) -> u8 {
    let negative = if x == 0.0 { To::FLOAT != Float::BF16 } else { x.is_sign_negative() };
    if negative { 0xfe } else { 0x7e }
}

/// The smallest `e` with `2^e >= x`, for a positive `x`; 128 for infinity and NaN.
fn ceil_log2(x: f32) -> i32 {
    let bits = x.to_bits();
    let (exponent, mantissa) = ((bits >> 23) as i32, bits & 0x7f_ffff);
    if exponent == 0 {
        let top = 31 - bits.leading_zeros() as i32;
        return top - 149 + i32::from(!bits.is_power_of_two());
    }
    exponent - 127 + i32::from(mantissa != 0 && exponent != 255)
}

/// `2^exponent` from -149 on, subnormal ones among them; infinity above 127.
fn power_of_two(exponent: i32) -> f32 {
    match exponent {
        128.. => f32::INFINITY,
        -126.. => f32::from_bits(((exponent + 127) as u32) << 23),
        _ => f32::from_bits(1u32.checked_shl((exponent + 149).max(0) as u32).unwrap_or(0)),
    }
}

/// The nearest E4M3 code, ties to even; what is beyond 448 or no number becomes 448. Without branches,
/// so that loops over it are vectorized, as is [`to_e2m1`].
#[inline(always)]
fn to_e4m3(x: f32) -> u8 {
    let sign = x.to_bits() >> 31 << 7;
    let bits = x.to_bits() & 0x7fff_ffff;
    // Below 2^-6 the codes are multiples of 2^-9: adding 2^14 leaves them in the lowest bits.
    let small = (f32::from_bits(bits) + 16384.0).to_bits().wrapping_sub(0x4680_0000);
    let normal = bits.wrapping_sub(0x3c00_0000).wrapping_add(0x7_ffff + (bits >> 20 & 1)) >> 20;
    let code = if bits < 0x3c80_0000 { small } else { normal };
    let code = if bits < 0x43e0_0000 { code } else { 0x7e };
    (code | sign) as u8
}

/// The value of an E4M3 code; 0x7f and 0xff are NaN.
fn from_e4m3(code: u8) -> f32 {
    let magnitude = match code & 0x7f {
        0x7f => f32::NAN,
        small @ 0..8 => f32::from(small) / 512.0,
        normal => f32::from_bits((u32::from(normal) << 20) + 0x3c00_0000),
    };
    if code & 0x80 == 0 { magnitude } else { -magnitude }
}

/// The nearest E2M1 code: ties go towards zero, and what rounds to zero, or is NaN, has no sign.
#[inline(always)]
fn to_e2m1(x: f32) -> u8 {
    const MIDDLES: [f32; 7] = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0];
    let code: u32 = MIDDLES.iter().map(|middle| u32::from(x.abs() > *middle)).sum();
    let sign = if x < -MIDDLES[0] { 8 } else { 0 };
    (code | sign) as u8
}

/// [`to_e2m1`] of any number as mlx has it: the first of the values of [`E2M1`] that are the nearest. For
/// huge numbers all are.
fn to_first_e2m1(x: f32) -> u8 {
    let mut best = (f32::INFINITY, 0);
    for (code, value) in (0u8..).zip(E2M1) {
        let distance = (x - value).abs();
        if distance < best.0 {
            best = (distance, code);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from the definition of E4M3: bias 7, three bits of mantissa, subnormals of 2^-9.
    #[test]
    fn e4m3_codes() {
        for (value, code) in [
            (0.0, 0x00),
            (1.0, 0x38),
            (448.0, 0x7e),
            (1e9, 0x7e),
            (0.015_625, 0x08),
            (0.001_953_125, 0x01),
            (-1.125, 0xb9),
            (17.0, 0x58), // half-way between 16 and 18: the even one
            (19.0, 0x5a), // half-way between 18 and 20: the even one
        ] {
            assert_eq!(to_e4m3(value), code, "{value}");
        }
        for code in (0..=0xff).filter(|code| code & 0x7f != 0x7f) {
            assert_eq!(to_e4m3(from_e4m3(code)), code, "{code:#04x}");
        }
        assert!(from_e4m3(0x7f).is_nan());
    }

    #[test]
    fn logarithms_round_up() {
        for (x, log) in [(1.0, 0), (1.5, 1), (2.0, 1), (0.25, -2), (f32::MIN_POSITIVE, -126)] {
            assert_eq!(ceil_log2(x), log, "{x}");
        }
        assert_eq!(ceil_log2(f32::from_bits(1)), -149);
        assert_eq!(ceil_log2(f32::from_bits(3)), -147);
        for exponent in -149..128 {
            assert_eq!(f64::from(power_of_two(exponent)), 2.0f64.powi(exponent));
        }
    }

    #[test]
    fn ties_of_fp4_go_towards_zero() {
        for (x, code) in
            [(0.25, 0), (0.26, 1), (-0.2, 0), (-0.3, 9), (5.0, 6), (5.1, 7), (-9.0, 15)]
        {
            assert_eq!([to_e2m1(x), to_first_e2m1(x)], [code; 2], "{x}");
        }
    }
}
