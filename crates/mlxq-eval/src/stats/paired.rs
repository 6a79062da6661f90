//! Accuracy of two models on the same rows.

use super::{Z_80, Z_95};

/// The drop in accuracy from a baseline to a converted model on the same `rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drop {
    /// Rows that only the baseline has right.
    pub lost: usize,
    /// Rows that only the converted model has right.
    pub gained: usize,
    /// All rows.
    pub rows: usize,
}

impl Drop {
    /// Counts the rows on which two models differ in being right.
    pub fn count(baseline: &[bool], converted: &[bool]) -> Self {
        let pairs = || baseline.iter().zip(converted);
        Self {
            lost: pairs().filter(|(b, c)| **b && !**c).count(),
            gained: pairs().filter(|(b, c)| !**b && **c).count(),
            rows: pairs().count(),
        }
    }

    /// The drop as a share of the rows; negative for a gain.
    pub fn value(&self) -> f64 {
        (self.lost as f64 - self.gained as f64) / self.rows as f64
    }

    /// One-sided 95 % bounds of the drop by the score interval for paired differences (Tango 1998,
    /// Statistics in Medicine 17:891).
    pub fn bounds(&self) -> (f64, f64) {
        (self.bound(Z_95, false), self.bound(Z_95, true))
    }

    /// The two-sided 95 % interval of the drop, by the same score.
    pub fn two_sided(&self) -> (f64, f64) {
        let z = super::Z_975;
        (self.bound(z, false), self.bound(z, true))
    }

    fn bound(&self, z: f64, upper: bool) -> f64 {
        // The score falls in the supposed drop, so each bound is a crossing found by bisection.
        let inside = |drop: f64| if upper { self.score(drop) >= -z } else { self.score(drop) <= z };
        let (mut good, mut bad) = (self.value(), if upper { 1.0 } else { -1.0 });
        for _ in 0..200 {
            let middle = (good + bad) / 2.0;
            if inside(middle) { good = middle } else { bad = middle }
        }
        good
    }

    /// The score statistic of a supposed drop, whose nuisance parameter is the likelihood's maximum.
    fn score(&self, drop: f64) -> f64 {
        let (b, c, n) = (self.lost as f64, self.gained as f64, self.rows as f64);
        let linear = -(b + c) + drop * (2.0 * n - b + c);
        let constant = -c * drop * (1.0 - drop);
        let root = (linear * linear - 8.0 * n * constant).max(0.0).sqrt();
        let q = ((root - linear) / (4.0 * n)).max(0.0f64.max(-drop));
        let variance = n * (2.0 * q + drop * (1.0 - drop));
        let distance = b - c - n * drop;
        if variance > 0.0 { distance / variance.sqrt() } else { distance.signum() * f64::INFINITY }
    }

    /// Rows with which an unchanged model, flipping as many rows as here, would pass `margin` in
    /// 80 % of cases.
    pub fn rows_needed(&self, margin: f64) -> usize {
        let flips =
            ((self.lost + self.gained) as f64 / self.rows as f64).max(1.0 / self.rows as f64);
        (flips * ((Z_95 + Z_80) / margin).powi(2)).ceil() as usize
    }
}

/// Wilson's 95 % interval for `right` of `rows` (Wilson 1927).
pub fn wilson(right: usize, rows: usize) -> (f64, f64) {
    let (z, n) = (super::Z_975, rows as f64);
    let share = right as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds computed once from the published formula in Python, checked there against a numerical
    /// maximum of the likelihood.
    #[test]
    fn tango_bounds() {
        let cases = [
            (0, 0, 100, -0.026_342_720_8, 0.026_342_720_8),
            (3, 1, 100, -0.017_371_692_8, 0.064_191_460_1),
            (0, 6, 100, -0.111_840_965_2, -0.031_340_629_1),
            (15, 5, 277, 0.010_235_348_5, 0.065_374_387_7),
            (10, 3, 872, 0.001_372_200_0, 0.016_047_197_8),
            (60, 35, 1500, 0.006_063_683_6, 0.027_643_690_0),
            (120, 80, 9815, 0.001_717_010_5, 0.006_484_874_3),
        ];
        for (lost, gained, rows, low, high) in cases {
            let (got_low, got_high) = Drop { lost, gained, rows }.bounds();
            assert!((got_low - low).abs() < 1e-9, "{lost} {gained} {rows}: {got_low}");
            assert!((got_high - high).abs() < 1e-9, "{lost} {gained} {rows}: {got_high}");
        }
    }

    /// statsmodels 0.15, proportion_confint(method="wilson").
    #[test]
    fn wilson_intervals() {
        let cases = [
            (0, 10, 0.0, 0.277_532_799_9),
            (10, 10, 0.722_467_200_1, 1.0),
            (81, 100, 0.722_211_546_2, 0.874_852_484_9),
            (759, 872, 0.846_486_687_7, 0.891_089_723_5),
        ];
        for (right, rows, low, high) in cases {
            let (got_low, got_high) = wilson(right, rows);
            assert!((got_low - low).abs() < 1e-9 && (got_high - high).abs() < 1e-9);
        }
    }

    #[test]
    fn only_differing_rows_count() {
        let drop = Drop::count(&[true, true, false, false], &[true, false, true, false]);
        assert_eq!(drop, Drop { lost: 1, gained: 1, rows: 4 });
    }
}
