//! The paired bootstrap, for figures without a formula.

use crate::metric::quantile_of_sorted;

/// The generator SplitMix64 (Steele, Lea & Flood 2014).
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// The generator's stream of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next_u64()) * limit as u128) >> 64) as usize
    }
}

/// A figure over resampled rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The 5 % and 95 % quantiles: one-sided 95 % bounds.
    pub bounds: (f64, f64),
    /// The 2.5 % and 97.5 % quantiles: the two-sided 95 % interval.
    pub two_sided: (f64, f64),
    /// The mean of all resamples.
    pub mean: f64,
    /// Resamples for which the figure was defined.
    pub resamples: usize,
    /// Resamples for which it was not.
    pub undefined: usize,
}

/// So many resamples had no figure that an interval of the others would say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the figure is undefined on {undefined} of {resamples} resamples, more than 1 %")]
pub struct Undefined {
    /// Resamples without a figure.
    pub undefined: usize,
    /// All resamples.
    pub resamples: usize,
}

/// Resamples `0..rows` with replacement `resamples` times and takes `figure` of each sample of row
/// indices, which may stand for queries as well; limits are type-7 quantiles of what comes out (Efron's
/// percentile interval).
///
/// A sample for which the figure is undefined, because all its rows are of one class or all scores are
/// equal, is dropped and counted.
///
/// # Errors
/// When more than 1 % are.
pub fn resample(
    rows: usize,
    resamples: usize,
    seed: u64,
    figure: impl Fn(&[usize]) -> Option<f64>,
) -> Result<Bootstrap, Undefined> {
    let mut random = SplitMix64::new(seed);
    let mut sample = vec![0; rows];
    let mut values = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        sample.iter_mut().for_each(|row| *row = random.below(rows));
        values.extend(figure(&sample).filter(|value| !value.is_nan()));
    }
    let undefined = resamples - values.len();
    values.sort_by(f64::total_cmp);
    let quantile = |p| quantile_of_sorted(&values, p).ok_or(Undefined { undefined, resamples });
    let (bounds, two_sided) =
        ((quantile(0.05)?, quantile(0.95)?), (quantile(0.025)?, quantile(0.975)?));
    if undefined * 100 > resamples {
        return Err(Undefined { undefined, resamples });
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Ok(Bootstrap { bounds, two_sided, mean, resamples: values.len(), undefined })
}

/// [`resample`] of the difference of two sides on the same rows; `None` when more than 1 % of the
/// resamples have none.
pub fn paired_difference(
    rows: usize,
    resamples: usize,
    seed: u64,
    difference: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Bootstrap> {
    resample(rows, resamples, seed, difference).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::spearman;

    /// The first numbers of the reference implementation in C for seed 42.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = SplitMix64::new(42);
        let first = [(); 3].map(|()| random.next_u64());
        assert_eq!(first, [0xbdd7_3226_2feb_6e95, 0x28ef_e333_b266_f103, 0x4752_6757_130f_9f52]);
        let mut random = SplitMix64::new(42);
        let below: Vec<_> = (0..12).map(|_| random.below(10)).collect();
        assert_eq!(below, [7, 1, 2, 3, 0, 8, 2, 8, 3, 6, 2, 4]);
    }

    /// The same resamples in Python with scipy's spearmanr: 5 % 0, 95 % 0.0952380952.
    #[test]
    fn a_paired_drop_of_spearman() {
        let gold = [0.0, 1.2, 2.5, 3.0, 4.8, 5.0, 2.2, 3.6, 0.8, 4.0, 1.6, 2.8];
        let base = [0.10, 0.31, 0.52, 0.48, 0.93, 0.97, 0.40, 0.71, 0.22, 0.80, 0.35, 0.60];
        let conv = [0.11, 0.35, 0.50, 0.49, 0.95, 0.94, 0.45, 0.66, 0.20, 0.82, 0.30, 0.64];
        let pick = |values: &[f64], rows: &[usize]| -> Vec<f64> {
            rows.iter().map(|row| values[*row]).collect()
        };
        let drop = |rows: &[usize]| {
            let gold = pick(&gold, rows);
            Some(spearman(&gold, &pick(&base, rows))? - spearman(&gold, &pick(&conv, rows))?)
        };
        let result = paired_difference(12, 2000, 7, drop).expect("defined");
        assert!(result.bounds.0.abs() < 1e-9, "{result:?}");
        assert!((result.bounds.1 - 0.095_238_095_2).abs() < 1e-9, "{result:?}");
        assert!((result.two_sided.1 - 0.111_163_522_0).abs() < 1e-9, "{result:?}");
    }

    /// The same resamples in Python: mean 0.101125, 2.5 % -0.1, 97.5 % 0.3.
    #[test]
    fn a_paired_drop_of_accuracy() {
        let base = [1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1];
        let conv = [1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1];
        let drop = |rows: &[usize]| {
            let lost: i32 = rows.iter().map(|row| base[*row] - conv[*row]).sum();
            Some(f64::from(lost) / 20.0)
        };
        let result = resample(20, 2000, 42, drop).expect("defined");
        assert!((result.mean - 0.101_125).abs() < 1e-12, "{result:?}");
        assert!((result.two_sided.0 + 0.1).abs() < 1e-12, "{result:?}");
        assert!((result.two_sided.1 - 0.3).abs() < 1e-12, "{result:?}");
    }

    /// A sample of three rows lacks the first with the chance (2/3)^3.
    #[test]
    fn samples_without_a_figure_are_counted() {
        let needs_first = |rows: &[usize]| rows.contains(&0).then_some(1.0);
        let Undefined { undefined, resamples } =
            resample(3, 10_000, 1, needs_first).expect_err("too many");
        assert_eq!(resamples, 10_000);
        assert!((undefined as f64 / 1e4 - 8.0 / 27.0).abs() < 0.02, "{undefined}");
        let result = resample(12, 10_000, 1, |rows| rows.iter().any(|row| *row < 5).then_some(1.0));
        let result = result.expect("0.16 % are undefined");
        assert!((5..40).contains(&result.undefined), "{result:?}");
        assert_eq!(result.resamples + result.undefined, 10_000);
        assert!(resample(3, 100, 1, |_| None).is_err());
    }
}
