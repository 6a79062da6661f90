//! Activations as integers.

use super::super::codes::QUAD;
#[cfg(target_arch = "aarch64")]
use super::neon;
use crate::isa::multiversion;

/// The largest integer of 16 bits that activations become: both bytes of it, taken as signed numbers
/// `256 * high + low`, lie within -127 and 127, so that products of signed bytes can serve too.
pub(in super::super) const LARGEST_I16: f32 = 32639.0;
/// The same of 8 bits.
const LARGEST_I8: f32 = 127.0;
/// Rows and groups whose largest number is below count as zeros: their scale would lose its precision.
const LEAST: f32 = 1e-30;

/// 1.5 * 2^23: adding it rounds to the nearest integer, ties to even.
const NEAREST: f32 = 12_582_912.0;

/// Rows of activations as integers times scales; memory is reused by every [`Self::quantize_i16`].
#[derive(Debug, Default)]
pub(in super::super) struct Buffers {
    values: Vec<i16>,
    /// Integers of 8 bits; where products of bytes serve, also those of 16, split.
    bytes: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<f32>,
}

/// Rows of activations as integers: `x[r, i] = scale * values[r, i]`.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct IntegerRows<'a, T> {
    /// `[rows, input / QUAD]`.
    quads: &'a [[T; QUAD]],
    /// The same as signed bytes for products of bytes: those of 16 bits split in two.
    #[cfg(target_arch = "aarch64")]
    bytes: &'a [neon::Bytes],
    /// A scale per row, or per row and group.
    scales: &'a [f32],
    /// The sums of each row's groups, of 8 bits times their scale, `[rows, groups]`.
    sums: &'a [f32],
    /// Inputs of a row, and of a group; groups of a row.
    input: usize,
    group_size: usize,
    groups: usize,
}

impl<'a, T> IntegerRows<'a, T> {
    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.quads.len() * QUAD / self.input
    }

    /// The integers of the `R` rows from `first` on in the group `group`.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn parts<const R: usize>(&self, first: usize, group: usize) -> [&'a [[T; QUAD]]; R] {
        let mut parts: [&[[T; QUAD]]; R] = [&[]; R];
        for (r, part) in parts.iter_mut().enumerate() {
            *part = self.part(first + r, group);
        }
        parts
    }

    /// The integers of a row in the group `group`, `[group_size / QUAD]`.
    #[inline(always)]
    pub(super) fn part(&self, row: usize, group: usize) -> &'a [[T; QUAD]] {
        let quads = self.group_size / QUAD;
        &self.quads[row * (self.input / QUAD) + group * quads..][..quads]
    }

    /// The integers of a row in the group `group` as signed bytes, in the order of the codes: of 16 bits
    /// as [`neon::split`] has them.
    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    pub(super) fn bytes(&self, row: usize, group: usize) -> &'a [neon::Bytes] {
        let count = self.group_size * size_of::<T>() / size_of::<neon::Bytes>();
        &self.bytes[(row * self.groups + group) * count..][..count]
    }

    /// The sum of a row's group.
    #[inline(always)]
    pub(super) fn sum(&self, row: usize, group: usize) -> f32 {
        self.sums[row * self.groups + group]
    }
}

impl IntegerRows<'_, i16> {
    /// The scale of a row.
    #[inline(always)]
    pub(super) fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }
}

impl IntegerRows<'_, i8> {
    /// The scale of a row's group.
    #[inline(always)]
    pub(super) fn scale(&self, row: usize, group: usize) -> f32 {
        self.scales[row * self.groups + group]
    }
}

impl Buffers {
    /// Rows of `x [rows, input]` to the nearest of 2 * [`LARGEST_I16`] + 1 steps, one scale for each row.
    /// A row with a NaN or an infinity has a NaN for its scale.
    pub(in super::super) fn quantize_i16(
        &mut self,
        x: &[f32],
        input: usize,
        group_size: usize,
    ) -> IntegerRows<'_, i16> {
        self.values.resize(x.len(), 0);
        self.scales.resize(x.len() / input, 0.0);
        self.sums.resize(x.len() / group_size, 0.0);
        quantize_i16(x, input, group_size, &mut self.values, &mut self.scales, &mut self.sums);
        #[cfg(target_arch = "aarch64")]
        {
            // Once for all panels.
            self.bytes.resize(2 * x.len(), 0);
            neon::split(&self.values, self.bytes.as_chunks_mut().0);
        }
        IntegerRows {
            quads: self.values.as_chunks().0,
            #[cfg(target_arch = "aarch64")]
            bytes: self.bytes.as_chunks().0,
            scales: &self.scales,
            sums: &self.sums,
            input,
            group_size,
            groups: input / group_size,
        }
    }

    /// The same with 8 bits, and a scale for each row and group.
    pub(in super::super) fn quantize_i8(
        &mut self,
        x: &[f32],
        input: usize,
        group_size: usize,
    ) -> IntegerRows<'_, i8> {
        self.bytes.resize(x.len(), 0);
        self.scales.resize(x.len() / group_size, 0.0);
        self.sums.resize(x.len() / group_size, 0.0);
        quantize_i8(x, group_size, &mut self.bytes, &mut self.scales, &mut self.sums);
        IntegerRows {
            quads: self.bytes.as_chunks().0,
            #[cfg(target_arch = "aarch64")]
            bytes: self.bytes.as_chunks().0,
            scales: &self.scales,
            sums: &self.sums,
            input,
            group_size,
            groups: input / group_size,
        }
    }
}

multiversion! {
    fn quantize_i16(
        x: &[f32],
        input: usize,
        group_size: usize,
        values: &mut [i16],
        scales: &mut [f32],
        sums: &mut [f32],
    ) {
        let rows = x.chunks_exact(input).zip(values.chunks_exact_mut(input));
        let sums = sums.chunks_exact_mut(input / group_size);
        for (((x, values), scale), sums) in rows.zip(scales).zip(sums) {
            let [factor, own_scale] = factors(largest(x), LARGEST_I16);
            *scale = own_scale;
            let groups = x.chunks_exact(group_size).zip(values.chunks_exact_mut(group_size));
            for ((x, values), group_sum) in groups.zip(sums) {
                *group_sum = round(x, factor, values, |nearest| nearest as i16) as f32;
            }
        }
    }
}

multiversion! {
    fn quantize_i8(
        x: &[f32],
        group_size: usize,
        bytes: &mut [i8],
        scales: &mut [f32],
        sums: &mut [f32],
    ) {
        let groups = x.chunks_exact(group_size).zip(bytes.chunks_exact_mut(group_size));
        for (((x, bytes), scale), group_sum) in groups.zip(scales).zip(sums) {
            let [factor, own_scale] = factors(largest(x), LARGEST_I8);
            let sum = round(x, factor, bytes, |nearest| nearest as i8);
            bytes.as_chunks_mut().0.iter_mut().for_each(swap_middle);
            *scale = own_scale;
            *group_sum = own_scale * sum as f32;
        }
    }
}

/// Lets the second and third of a quad change places, as they do in the weights' words.
#[inline(always)]
fn swap_middle(quad: &mut [i8; QUAD]) {
    let word = u32::from_le_bytes(quad.map(|byte| byte as u8));
    let swapped = word & 0xff00_00ff | (word & 0xff00) << 8 | (word >> 8) & 0xff00;
    *quad = swapped.to_le_bytes().map(|byte| byte as i8);
}

/// The largest magnitude, as bits, which order NaN above infinity above all numbers.
#[inline(always)]
fn largest(x: &[f32]) -> u32 {
    x.iter().fold(0, |largest, x| largest.max(x.to_bits() & 0x7fff_ffff))
}

/// The nearest integers of `x` times `factor`, and their sum.
// One plain loop: of loops in loops compilers make gathers.
#[inline(always)]
fn round<T>(x: &[f32], factor: f32, values: &mut [T], narrow: impl Fn(i32) -> T) -> i32 {
    let mut sum = 0i32;
    for (value, x) in values.iter_mut().zip(x) {
        let nearest = nearest(x * factor);
        *value = narrow(nearest);
        sum = sum.wrapping_add(nearest);
    }
    sum
}

/// What numbers are multiplied with to become integers, and the integers to become numbers.
#[inline(always)]
fn factors(largest: u32, most: f32) -> [f32; 2] {
    let largest = f32::from_bits(largest);
    if !largest.is_finite() {
        return [0.0, f32::NAN];
    }
    if largest < LEAST {
        return [0.0, 0.0];
    }
    [most / largest, largest / most]
}

/// The nearest integer, ties to even, of a number below 2^22; of a NaN anything, so sums must not mind.
#[inline(always)]
fn nearest(x: f32) -> i32 {
    (x + NEAREST).to_bits().wrapping_sub(NEAREST.to_bits()) as i32
}
