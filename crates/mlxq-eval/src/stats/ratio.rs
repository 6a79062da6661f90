//! Ratios of paired blocks.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::binomial::quantile_ranks;
use crate::metric::quantile;

/// The geometric mean of paired ratios, judged by Student's t on their logarithms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogRatio {
    mean: f64,
    /// Standard error of the mean.
    error: f64,
    pairs: usize,
    median: f64,
    median_interval: Option<(f64, f64)>,
}

impl LogRatio {
    /// From ratios, all positive, at least two.
    pub fn new(ratios: &[f64]) -> Option<Self> {
        let usable = |ratio: &f64| ratio.is_finite() && *ratio > 0.0;
        if ratios.len() < 2 || !ratios.iter().all(usable) {
            return None;
        }
        let count = ratios.len() as f64;
        let logs: Vec<f64> = ratios.iter().map(|ratio| ratio.ln()).collect();
        let mean = logs.iter().sum::<f64>() / count;
        let variance = logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Some(Self {
            mean,
            error: (variance / count).sqrt(),
            pairs: ratios.len(),
            median: quantile(&logs, 0.5)?.exp(),
            median_interval: median_interval(ratios),
        })
    }

    /// The median, taken on logarithms, which single disturbed blocks do not move.
    pub fn median(&self) -> f64 {
        self.median
    }

    /// The median's two-sided 95 % interval by order statistics: ratios whose ranks the binomial
    /// distribution gives. `None` for fewer than six pairs.
    pub fn median_interval(&self) -> Option<(f64, f64)> {
        self.median_interval
    }

    /// The geometric mean.
    pub fn value(&self) -> f64 {
        self.mean.exp()
    }

    /// Number of pairs.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// One-sided 95 % bounds.
    pub fn bounds(&self) -> (f64, f64) {
        self.interval(0.95)
    }

    /// The two-sided 95 % interval.
    pub fn two_sided(&self) -> (f64, f64) {
        self.interval(0.975)
    }

    fn interval(&self, level: f64) -> (f64, f64) {
        let t = StudentsT::new(0.0, 1.0, self.pairs as f64 - 1.0)
            .map_or(f64::INFINITY, |student| student.inverse_cdf(level));
        let half = t * self.error;
        ((self.mean - half).exp(), (self.mean + half).exp())
    }
}

fn median_interval(ratios: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = ratios.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = quantile_ranks(ratios.len(), 0.5);
    Some((sorted[low? - 1], sorted[high? - 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17 (`scipy.stats.t`) on the same ten pairs.
    #[test]
    fn ten_pairs() {
        let fast = [101.2, 99.8, 100.5, 102.0, 98.7, 100.9, 101.5, 99.5, 100.2, 100.8];
        let slow = [80.1, 79.5, 81.0, 80.2, 78.9, 80.6, 82.0, 79.9, 80.3, 80.0];
        let ratios: Vec<f64> = fast.iter().zip(slow).map(|(fast, slow)| fast / slow).collect();
        let ratio = LogRatio::new(&ratios).expect("ratios");
        let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-8, "{got} {want}");
        close(ratio.value(), 1.252_467_814_1);
        close(ratio.bounds().0, 1.246_419_020_0);
        close(ratio.bounds().1, 1.258_545_962_7);
        close(ratio.two_sided().0, 1.245_007_510_0);
        close(ratio.two_sided().1, 1.259_972_821_7);
        close(ratio.median(), 1.251_405_723_5);
        let (low, high) = ratio.median_interval().expect("ten pairs");
        assert!((low - 1.240_741).abs() < 1e-6 && (high - 1.263_421).abs() < 1e-6);
        assert!(LogRatio::new(&[1.0]).is_none() && LogRatio::new(&[1.0, 0.0]).is_none());
    }

    /// Ranks j and k + 1 - j of k values, by a table of the binomial distribution.
    #[test]
    fn ranks_of_the_median() {
        let ranks = [
            (5, None),
            (6, Some(1)),
            (8, Some(1)),
            (9, Some(2)),
            (11, Some(2)),
            (12, Some(3)),
            (15, Some(4)),
            (17, Some(5)),
            (20, Some(6)),
            (23, Some(7)),
            (25, Some(8)),
            (28, Some(9)),
            (30, Some(10)),
        ];
        for (count, rank) in ranks {
            let values: Vec<f64> = (1..=count).map(f64::from).collect();
            let expected = rank.map(|rank| (f64::from(rank), f64::from(count + 1 - rank)));
            assert_eq!(median_interval(&values), expected, "{count}");
        }
    }
}
