//! Whether two models differ on the same rows, and on which of many data sets.

use super::binomial::Binomial;

/// McNemar's exact test of the rows on which exactly one of two models is right (McNemar 1947). Large
/// values are no evidence that nothing was lost: that is what the bounds of [`super::Drop`] are for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Two-sided: `min(1, 2 P(X <= min(lost, gained)))` for X binomial with chance 1/2.
    pub exact: f64,
    /// The same less the probability of the count itself (Lancaster 1961; Fagerland et al. 2013), which is
    /// less conservative.
    pub mid_p: f64,
    /// One-sided, "the second is worse": `P(X >= lost)`.
    pub one_sided: f64,
}

impl McNemar {
    /// Of `lost` rows that only the first has right and `gained` that only the second has.
    pub fn of(lost: usize, gained: usize) -> Self {
        let coin = Binomial::new(lost + gained, 0.5);
        let fewer = lost.min(gained);
        let tail = if lost == gained { 1.0 } else { 2.0 * coin.at_most(fewer) };
        let exact = tail.min(1.0);
        // With nothing lost and nothing gained there is nothing to take away from.
        let mid_p = if lost + gained == 0 { 1.0 } else { exact - coin.mass(fewer) };
        Self { exact, mid_p, one_sided: coin.at_least(lost) }
    }
}

/// Holm's adjusted p-values, in the order given (Holm 1979): of `m` tests the i-th smallest value times
/// `m - i + 1`, made rising, at most 1. A value below 5 % then is one of a family in which a false one
/// appears in at most 5 % of cases. Gates that must all pass need no adjustment.
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut adjusted = vec![0.0; values.len()];
    let mut largest = 0.0f64;
    for (place, at) in order.into_iter().enumerate() {
        largest = largest.max((values.len() - place) as f64 * values[at]).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17: `binomtest` for the exact values, `binom` for the others.
    #[test]
    fn p_values_agree_with_scipy() {
        let cases = [
            (0, 0, 1.0, 1.0, 1.0),
            (5, 5, 1.0, 0.753_906_25, 0.623_046_875),
            (1, 9, 0.021_484_375, 0.011_718_75, 0.999_023_437_5),
            (10, 3, 0.092_285_156_2, 0.057_373_046_9, 0.046_142_578_1),
            (15, 5, 0.041_389_465_3, 0.026_603_698_7, 0.020_694_732_7),
            (0, 6, 0.031_25, 0.015_625, 1.0),
            (60, 35, 0.013_378_703_0, 0.010_345_913_1, 0.006_689_351_5),
            (120, 80, 0.005_685_156_0, 0.004_660_052_0, 0.002_842_578_0),
        ];
        for (lost, gained, exact, mid_p, one_sided) in cases {
            let got = McNemar::of(lost, gained);
            for (got, want) in
                [got.exact, got.mid_p, got.one_sided].iter().zip([exact, mid_p, one_sided])
            {
                assert!((got - want).abs() < 1e-9, "{lost} {gained}: {got} {want}");
            }
        }
    }

    /// scipy 1.17, `binomtest`.
    #[test]
    fn large_counts_have_values() {
        let got = McNemar::of(501_000, 499_000);
        assert!((got.exact - 0.045_608_299_9).abs() < 1e-9, "{got:?}");
        assert!((got.one_sided - 0.022_804_149_9).abs() < 1e-9, "{got:?}");
        let far = McNemar::of(2_000, 1_000).exact;
        assert!((far / 1.009_014_862_79e-75 - 1.0).abs() < 1e-8, "{far}");
    }

    /// Holm's step-down by hand: 5 x 0.005, 4 x 0.01, 3 x 0.03, then at least as much, 0.2.
    #[test]
    fn holm_steps_down() {
        let close = |got: Vec<f64>, want: &[f64]| {
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?} {want:?}");
        };
        close(holm(&[0.01, 0.04, 0.03, 0.005, 0.2]), &[0.04, 0.09, 0.09, 0.025, 0.2]);
        close(holm(&[0.012, 0.02, 0.06, 0.0001]), &[0.036, 0.04, 0.06, 0.0004]);
        close(holm(&[0.7, 0.6]), &[1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
