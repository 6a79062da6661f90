//! McNemar's test of two models' right answers on the same rows, and Holm's correction for many.

/// Tests of whether two models are right equally often, from the rows that only one has right
/// (McNemar 1947; Fagerland, Lydersen & Laake 2013 for the mid-p form).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct McNemar {
    /// Two-sided exact p.
    pub exact: f64,
    /// Two-sided mid-p.
    pub mid_p: f64,
    /// One-sided exact p against "the second model is not worse".
    pub one_sided: f64,
}

impl McNemar {
    /// Of `lost` rows that only the first model has right and `gained` that only the second has.
    pub fn of(lost: usize, gained: usize) -> Self {
        let (all, fewer) = (lost + gained, lost.min(gained));
        if all == 0 {
            return Self { exact: 1.0, mid_p: 1.0, one_sided: 1.0 };
        }
        let tail: f64 = (0..=fewer).map(|count| coin(all, count)).sum();
        let at = coin(all, fewer);
        Self {
            exact: (2.0 * tail).min(1.0),
            mid_p: if lost == gained { 1.0 - at } else { 2.0 * tail - at },
            one_sided: (lost..=all).map(|count| coin(all, count)).sum::<f64>().min(1.0),
        }
    }
}

/// The probability of `count` heads among `all` throws.
fn coin(all: usize, count: usize) -> f64 {
    let ln_choose = statrs::function::factorial::ln_binomial(all as u64, count as u64);
    (ln_choose - all as f64 * std::f64::consts::LN_2).exp()
}

/// The p-values of several tests, corrected for their number, in the order given (Holm 1979).
pub fn holm(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut corrected = vec![0.0; values.len()];
    let mut largest: f64 = 0.0;
    for (before, place) in order.into_iter().enumerate() {
        let left = (values.len() - before) as f64;
        largest = largest.max(left * values[place]).min(1.0);
        corrected[place] = largest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17, `binomtest`, and the mid-p form by hand.
    #[test]
    fn mcnemar_by_the_binomial() {
        let cases = [
            (0, 0, 1.0, 1.0, 1.0),
            (5, 5, 1.0, 0.753_906_25, 0.623_046_875),
            (1, 9, 0.021_484_375, 0.011_718_75, 0.999_023_437_5),
            (15, 5, 0.041_389_465_3, 0.026_603_698_7, 0.020_694_732_7),
            (0, 6, 0.031_25, 0.015_625, 1.0),
            (120, 80, 0.005_685_156_0, 0.004_660_052_0, 0.002_842_578_0),
        ];
        for (lost, gained, exact, mid_p, one_sided) in cases {
            let found = McNemar::of(lost, gained);
            let close =
                |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{lost} {gained}: {got}");
            close(found.exact, exact);
            close(found.mid_p, mid_p);
            close(found.one_sided, one_sided);
        }
    }

    /// statsmodels 0.15, `multipletests(method="holm")`.
    #[test]
    fn holm_keeps_the_order() {
        let close = |got: &[f64], want: &[f64]| {
            assert!(got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-12), "{got:?}");
        };
        close(&holm(&[0.01, 0.04, 0.03, 0.005, 0.2]), &[0.04, 0.09, 0.09, 0.025, 0.2]);
        close(&holm(&[0.012, 0.02, 0.06, 0.0001]), &[0.036, 0.04, 0.06, 0.0004]);
        close(&holm(&[]), &[]);
    }
}
