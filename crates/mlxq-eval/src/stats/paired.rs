//! Accuracy of two models on the same rows.

use super::{Z_80, Z_95, Z_975};

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

    /// Tango's two-sided 95 % interval of the drop.
    pub fn two_sided(&self) -> (f64, f64) {
        (self.bound(Z_975, false), self.bound(Z_975, true))
    }

    /// Whether the upper bound that belongs to `z` is no more than `drop`, without looking for it.
    pub(super) fn is_below(&self, drop: f64, z: f64) -> bool {
        self.value() <= drop && self.score(drop) <= -z
    }

    /// Rows on which the two differ, as a share of all.
    pub fn flips(&self) -> f64 {
        (self.lost + self.gained) as f64 / self.rows as f64
    }

    fn bound(&self, z: f64, upper: bool) -> f64 {
        // The score falls in the supposed drop, so each bound is a crossing found by bisection.
        let inside = |drop: f64| if upper { self.score(drop) >= -z } else { self.score(drop) <= z };
        let (mut good, mut bad) = (self.value(), if upper { 1.0 } else { -1.0 });
        loop {
            let middle = f64::midpoint(good, bad);
            // No number lies between the two any more.
            if middle == good || middle == bad {
                break;
            }
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

    /// Rows with which an unchanged model, flipping as large a share as here, would pass `margin` in
    /// 80 % of cases: `flips ((z_95 + z_80) / margin)^2`, but no fewer than are needed where nothing
    /// flips at all, `z_95^2 (1 - margin) / margin`.
    pub fn rows_needed(&self, margin: f64) -> usize {
        let flips = self.flips() * ((Z_95 + Z_80) / margin).powi(2);
        let none = Z_95 * Z_95 * (1.0 - margin) / margin;
        flips.max(none).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds computed once from the published formula in Python, checked there against a numerical
    /// maximum of the likelihood.
    #[test]
    fn tango_bounds() {
        let z2 = Z_975 * Z_975;
        let cases = [
            (0, 0, 100, [-0.026_342_720_8, 0.026_342_720_8], [-0.036_993_498_2, 0.036_993_498_2]),
            (3, 1, 100, [-0.017_371_692_8, 0.064_191_460_1], [-0.028_124_043_1, 0.076_047_883_8]),
            (0, 6, 100, [-0.111_840_965_2, -0.031_340_629_1], [-0.124_768_154_5, -0.020_786_892_9]),
            (
                0,
                0,
                277,
                [-0.009_672_827_4, 0.009_672_827_4],
                [-z2 / (277.0 + z2), z2 / (277.0 + z2)],
            ),
            (2, 1, 277, [-0.009_537_860_5, 0.018_391_328_2], [-0.013_604_546_1, 0.022_728_854_8]),
            (15, 5, 277, [0.010_235_348_5, 0.065_374_387_7], [0.004_911_131_8, 0.071_858_118_7]),
            (5, 5, 408, [-0.014_275_565_3, 0.014_275_565_3], [-0.017_705_531_2, 0.017_705_531_2]),
            (10, 3, 872, [0.001_372_200_0, 0.016_047_197_8], [-0.000_089_548_1, 0.017_955_198_9]),
            (60, 35, 1500, [0.006_063_683_6, 0.027_643_690_0], [0.004_009_407_4, 0.029_847_865_5]),
            (120, 80, 9815, [0.001_717_010_5, 0.006_484_874_3], [0.001_263_417_9, 0.006_959_503_4]),
        ];
        for (lost, gained, rows, one_sided, two_sided) in cases {
            let drop = Drop { lost, gained, rows };
            for (got, want) in [(drop.bounds(), one_sided), (drop.two_sided(), two_sided)] {
                assert!((got.0 - want[0]).abs() < 1e-9, "{drop:?}: {got:?}");
                assert!((got.1 - want[1]).abs() < 1e-9, "{drop:?}: {got:?}");
            }
            for margin in [0.001, 0.0065, 0.02, 0.065] {
                assert_eq!(drop.is_below(margin, Z_95), drop.bounds().1 <= margin, "{drop:?}");
            }
        }
    }

    /// By hand, with z_95 + z_80 = 2.4865: 2 % of flips and a margin of 1 %, and no flips at all.
    #[test]
    fn rows_that_would_settle_it() {
        assert_eq!(Drop { lost: 10, gained: 10, rows: 1000 }.rows_needed(0.01), 1237);
        assert_eq!(Drop { lost: 10, gained: 10, rows: 1000 }.rows_needed(0.015), 550);
        assert_eq!(Drop { lost: 0, gained: 0, rows: 50 }.rows_needed(0.01), 268);
    }

    #[test]
    fn only_differing_rows_count() {
        let drop = Drop::count(&[true, true, false, false], &[true, false, true, false]);
        assert_eq!(drop, Drop { lost: 1, gained: 1, rows: 4 });
    }
}
