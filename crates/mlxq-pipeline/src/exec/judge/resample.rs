//! Several sides' figures on the same resampled rows, for figures without a formula.

use mlxq_eval::metric::quantile;
use mlxq_eval::stats::SplitMix64;

use super::figure::Figure;

/// Resamples of the paired bootstrap, and its seed.
pub(in crate::exec) const RESAMPLES: usize = 10_000;
pub(in crate::exec) const SEED: u64 = 42;

/// One figure of several sides, each on the same resamples of the rows, drawn with replacement.
pub(super) struct Resampled {
    /// `[sides][resamples]`; NaN where the figure is undefined.
    values: Vec<Vec<f64>>,
}

impl Resampled {
    /// Draws `resamples` times as many of `rows` rows; the draws are those of
    /// [`mlxq_eval::stats::paired_difference`] with the same seed.
    pub(super) fn draw(figures: &[Figure], rows: usize, resamples: usize, seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut sample = vec![0; rows];
        let mut values = vec![Vec::with_capacity(resamples); figures.len()];
        for _ in 0..resamples {
            sample.iter_mut().for_each(|row| *row = random.below(rows));
            for (figure, values) in figures.iter().zip(&mut values) {
                values.push(figure(&sample).unwrap_or(f64::NAN));
            }
        }
        Self { values }
    }

    /// The two-sided 95 % interval of one side's figure.
    pub(super) fn interval(&self, side: usize) -> Option<[f64; 2]> {
        quantiles(self.values[side].iter().copied(), [0.025, 0.975])
    }

    /// One-sided 95 % bounds of the first side minus the second, and the two-sided 95 % interval.
    pub(super) fn drop(&self, from: usize, to: usize) -> Option<([f64; 2], [f64; 2])> {
        let differences = || self.values[from].iter().zip(&self.values[to]).map(|(a, b)| a - b);
        Some((quantiles(differences(), [0.05, 0.95])?, quantiles(differences(), [0.025, 0.975])?))
    }
}

/// Two quantiles of what is defined, unless more than 1 % is not.
fn quantiles(values: impl Iterator<Item = f64>, [low, high]: [f64; 2]) -> Option<[f64; 2]> {
    let all: Vec<f64> = values.collect();
    let defined: Vec<f64> = all.iter().copied().filter(|value| !value.is_nan()).collect();
    if (all.len() - defined.len()) * 100 > all.len() {
        return None;
    }
    Some([quantile(&defined, low)?, quantile(&defined, high)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Right answers of two sides; numpy's quantiles over the same draws give -0.1 and 0.3.
    #[test]
    fn the_interval_of_a_drop_is_that_of_the_reference() {
        let base = [1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1];
        let conv = [1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 0, 1];
        let mean = |values: [i32; 20]| -> Figure<'static> {
            let sum = move |rows: &[usize]| rows.iter().map(|row| values[*row]).sum::<i32>();
            Box::new(move |rows| Some(f64::from(sum(rows)) / rows.len() as f64))
        };
        let resampled = Resampled::draw(&[mean(base), mean(conv)], 20, 2000, 42);
        let (_, two_sided) = resampled.drop(0, 1).expect("an interval");
        assert!((two_sided[0] + 0.1).abs() < 1e-9 && (two_sided[1] - 0.3).abs() < 1e-9);
    }

    #[test]
    fn undefined_resamples_leave_no_interval() {
        let rarely: Figure = Box::new(|rows| rows.contains(&0).then_some(1.0));
        assert!(Resampled::draw(&[rarely], 3, 500, 1).interval(0).is_none());
    }
}
