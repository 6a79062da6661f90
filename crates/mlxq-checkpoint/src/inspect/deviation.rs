//! How far numbers are from others, in f64.

use std::iter::Sum;

use mlxq_kernels::float::Float;

use crate::tensor::Dtype;

/// How far numbers are from those of their source.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Deviation {
    /// The sum of the squares of all differences.
    differences: f64,
    /// The sum of the squares of the source's numbers.
    source: f64,
    /// The largest difference.
    largest: f64,
}

impl Deviation {
    /// Of `numbers` from those of `source`.
    pub(super) fn of(numbers: &[f64], source: &[f64]) -> Self {
        numbers.iter().zip(source).map(|(number, source)| Self::of_one(*number, *source)).sum()
    }

    fn of_one(number: f64, source: f64) -> Self {
        let difference = number - source;
        Self {
            differences: difference * difference,
            source: source * source,
            largest: difference.abs(),
        }
    }

    fn plus(self, other: Self) -> Self {
        // Not `max`, which passes over NaN.
        let larger = other.largest > self.largest || other.largest.is_nan();
        Self {
            differences: self.differences + other.differences,
            source: self.source + other.source,
            largest: if larger { other.largest } else { self.largest },
        }
    }

    /// The norm of the differences by the norm of the source: 0 for equal numbers, infinite where the
    /// source has only zeros, NaN where numbers are not finite.
    pub fn relative_rms(&self) -> f64 {
        if self.differences == 0.0 { 0.0 } else { (self.differences / self.source).sqrt() }
    }

    /// The largest difference; NaN where numbers are not finite.
    pub fn largest(&self) -> f64 {
        self.largest
    }
}

impl Sum for Deviation {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Self::plus)
    }
}

/// Whether a tensor holds numbers that can be compared.
pub(super) fn is_float(dtype: Dtype) -> bool {
    dtype == Dtype::F64 || dtype.float().is_some()
}

/// The numbers of a float tensor, exactly.
pub(super) fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    if dtype == Dtype::F64 {
        return bytes.as_chunks().0.iter().map(|number| f64::from_le_bytes(*number)).collect();
    }
    let float = dtype.float().unwrap_or(Float::F32);
    let mut numbers = vec![0.0f32; bytes.len() / float.size()];
    float.decode(bytes, &mut numbers);
    numbers.into_iter().map(f64::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: differences 0.5, -2 and 0 from 1, 2 and 2, so √(4.25 / 9).
    #[test]
    fn norms_are_those_of_hand_calculation() {
        let whole = Deviation::of(&[1.5, 0.0, 2.0], &[1.0, 2.0, 2.0]);
        assert_eq!(whole.relative_rms(), (4.25f64 / 9.0).sqrt());
        assert_eq!(whole.largest(), 2.0);
        let parts = [(1.5, 1.0), (0.0, 2.0), (2.0, 2.0)];
        let parts = parts.map(|(number, source)| Deviation::of(&[number], &[source]));
        assert_eq!(parts.into_iter().sum::<Deviation>(), whole);
    }

    #[test]
    fn zeros_and_what_is_not_finite_are_told_apart() {
        assert_eq!(Deviation::of(&[0.0], &[0.0]).relative_rms(), 0.0);
        assert_eq!(Deviation::of(&[1.0], &[0.0]).relative_rms(), f64::INFINITY);
        let lost = Deviation::of(&[f64::NAN, 9.0], &[1.0, 1.0]);
        assert!(lost.relative_rms().is_nan() && lost.largest().is_nan());
    }
}
