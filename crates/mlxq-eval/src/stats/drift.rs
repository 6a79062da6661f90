//! Whether a machine was steady while it was measured: spread, trend and outliers of times.
//!
//! Nothing here removes a time. A spread says that the machine is noisy, a trend that figures of one
//! side alone depend on when they were taken, an outlier that something came between.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::metric::quantile;

/// The spread of equal pieces of work above which a machine counts as noisy.
pub const NOISY_SPREAD: f64 = 1.10;
/// The change over all blocks above which a trend counts as drift, as a share.
const DRIFT_CHANGE: f64 = 0.03;
/// The chance of such a trend without one, below which it counts.
const DRIFT_P: f64 = 0.01;
/// Ten standard deviations, 1.4826 of which make a median absolute deviation of normal numbers one:
/// hyperfine 2.0, `outlier_detection.rs`, after Iglewicz and Hoaglin 1993.
const OUTLIER_SCORE: f64 = 14.826;

/// The 95 % quantile of `times` by their 5 % quantile; `None` for no times, or none above 0.
pub fn spread(times: &[f64]) -> Option<f64> {
    let (low, high) = (quantile(times, 0.05)?, quantile(times, 0.95)?);
    (low > 0.0).then(|| high / low)
}

/// The line through the logarithms of block times over their numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trend {
    /// Least squares slope of `ln(time)` for each block.
    pub slope: f64,
    /// Two-sided p-value of Student's t for a slope of 0, `blocks - 2` degrees of freedom.
    pub p_value: f64,
    /// Number of blocks.
    pub blocks: usize,
}

impl Trend {
    /// Of at least three times, all positive and finite; else `None`.
    pub fn of(times: &[f64]) -> Option<Self> {
        if times.len() < 3 || !times.iter().all(|time| time.is_finite() && *time > 0.0) {
            return None;
        }
        let count = times.len() as f64;
        let logs: Vec<f64> = times.iter().map(|time| time.ln()).collect();
        let (middle, mean) = ((count - 1.0) / 2.0, logs.iter().sum::<f64>() / count);
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (number, log) in logs.iter().enumerate() {
            let (dx, dy) = (number as f64 - middle, log - mean);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        let slope = xy / xx;
        let degrees = count - 2.0;
        let error = ((yy - slope * xy).max(0.0) / degrees / xx).sqrt();
        let p_value = match (slope == 0.0, error > 0.0) {
            (true, _) => 1.0,
            (false, false) => 0.0,
            (false, true) => {
                2.0 * StudentsT::new(0.0, 1.0, degrees).ok()?.sf((slope / error).abs())
            }
        };
        Some(Self { slope, p_value, blocks: times.len() })
    }

    /// The change over all blocks, as the logarithm of a ratio: 0.03 are about 3 %.
    pub fn change(&self) -> f64 {
        self.slope * self.blocks as f64
    }

    /// Whether times changed by more than 3 % with p below 0.01.
    pub fn is_drift(&self) -> bool {
        self.change().abs() > DRIFT_CHANGE && self.p_value < DRIFT_P
    }
}

/// Places of the values whose distance from the median is more than 14.826 times the median of all
/// such distances; where that median is 0, of every value that differs.
pub fn outliers(values: &[f64]) -> Vec<usize> {
    let Some(median) = quantile(values, 0.5) else { return Vec::new() };
    let distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    let limit = OUTLIER_SCORE * quantile(&distances, 0.5).unwrap_or(0.0);
    (0..values.len()).filter(|place| distances[*place] > limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!((got / want - 1.0).abs() < 1e-7, "{got} {want}");
    }

    /// numpy 2: `percentile(x, 95) / percentile(x, 5)`.
    #[test]
    fn spreads_agree_with_numpy() {
        let quiet = [50.1, 50.3, 49.9, 50.0, 52.0, 50.2, 56.5, 50.1, 50.0, 50.4, 50.2];
        close(spread(&quiet).expect("times"), 1.086_086_086_086_086);
        let noisy = [50.1, 50.3, 49.9, 50.0, 52.0, 50.2, 56.5, 50.1, 50.0, 50.4, 58.0];
        close(spread(&noisy).expect("times"), 1.146_146_146_146_146_2);
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[0.0]), None);
    }

    /// scipy 1.17: `linregress(range(10), log(times))`, slope and p-value.
    #[test]
    fn trends_agree_with_scipy() {
        let rising = [1.00, 1.01, 1.02, 1.03, 1.035, 1.05, 1.06, 1.065, 1.08, 1.09];
        let trend = Trend::of(&rising).expect("times");
        close(trend.slope, 0.009_460_934_258_034_128);
        close(trend.p_value, 9.303_932_957_447_905e-11);
        assert!(trend.is_drift());
        let scattered = [1.00, 1.30, 0.90, 1.20, 1.05, 1.10, 0.95, 1.25, 1.15, 1.20];
        let trend = Trend::of(&scattered).expect("times");
        close(trend.slope, 0.010_732_566_990_604_982);
        close(trend.p_value, 0.457_595_452_341_580_3);
        assert!(!trend.is_drift(), "10 % that may be chance");
        let slight = [1.0, 1.001, 1.002, 1.0035, 1.0045, 1.005, 1.006, 1.007, 1.0085, 1.009];
        let trend = Trend::of(&slight).expect("times");
        close(trend.p_value, 4.009_632_596_135_493_6e-10);
        assert!(!trend.is_drift(), "1 % beyond chance");
    }

    /// By hand: a constant has no trend; numbers on a line have no residual, so p is 0.
    #[test]
    fn trends_without_residuals() {
        let constant = Trend::of(&[2.0; 5]).expect("times");
        assert_eq!((constant.slope, constant.p_value), (0.0, 1.0));
        let doubling = Trend::of(&[1.0, 2.0, 4.0, 8.0]).expect("times");
        close(doubling.change(), 4.0 * std::f64::consts::LN_2);
        assert!(doubling.is_drift());
        assert_eq!(Trend::of(&[1.0, 2.0]), None);
        assert_eq!(Trend::of(&[1.0, 0.0, 2.0]), None);
    }

    /// scipy 1.17, `median_abs_deviation`: 0.01 around 1.00, so the last three values score 16, 16, 14.
    #[test]
    fn outliers_are_far_from_the_median() {
        let values = [1.00, 1.01, 0.99, 1.02, 0.98, 1.00, 1.00, 1.01, 0.99, 1.16, 0.84, 1.14];
        assert_eq!(outliers(&values), [9, 10]);
        assert_eq!(outliers(&[3.0, 3.0, 3.0, 3.1]), [3]);
        assert!(outliers(&[]).is_empty());
    }
}
