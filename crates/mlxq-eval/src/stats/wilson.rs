//! Intervals of a share.

use statrs::distribution::{ContinuousCDF, Normal};

use super::{Z_95, Z_975};

/// Wilson's two-sided 95 % interval for `right` of `rows` (Wilson 1927); everything from 0 to 1 for no
/// rows.
pub fn wilson(right: usize, rows: usize) -> (f64, f64) {
    interval(right, rows, Z_975)
}

/// Wilson's two-sided interval of that confidence, such as 0.9.
pub fn wilson_at(right: usize, rows: usize, confidence: f64) -> (f64, f64) {
    let upper = 0.5 + confidence.clamp(0.0, 1.0) / 2.0;
    interval(right, rows, Normal::standard().inverse_cdf(upper))
}

/// Wilson's one-sided 95 % bounds, each by itself.
pub fn wilson_bounds(right: usize, rows: usize) -> (f64, f64) {
    interval(right, rows, Z_95)
}

fn interval(right: usize, rows: usize, z: f64) -> (f64, f64) {
    let n = rows as f64;
    if rows == 0 || z.is_infinite() {
        return (0.0, 1.0);
    }
    let share = right as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let half = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At the ends the bound is the end, which rounding may miss.
    let low = if right == 0 { 0.0 } else { ((centre - half) / scale).max(0.0) };
    let high = if right == rows { 1.0 } else { ((centre + half) / scale).min(1.0) };
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close((low, high): (f64, f64), want: (f64, f64)) {
        assert!((low - want.0).abs() < 1e-9 && (high - want.1).abs() < 1e-9, "{low} {high}");
    }

    /// statsmodels 0.15, proportion_confint(method="wilson").
    #[test]
    fn wilson_intervals() {
        close(wilson(0, 10), (0.0, 0.277_532_799_9));
        close(wilson(10, 10), (0.722_467_200_1, 1.0));
        close(wilson(81, 100), (0.722_211_546_2, 0.874_852_484_9));
        close(wilson(185, 200), (0.879_956_389_8, 0.954_025_082_8));
        close(wilson(759, 872), (0.846_486_687_7, 0.891_089_723_5));
        close(wilson(8047, 9815), (0.812_140_113_1, 0.827_344_700_5));
        close(wilson(1, 1), (0.206_549_314_4, 1.0));
        close(wilson_at(81, 100, 0.9), (0.737_640_047_7, 0.866_027_465_4));
        close(wilson_bounds(81, 100), wilson_at(81, 100, 0.9));
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}
