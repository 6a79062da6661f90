//! Quantiles, and how many values they need.

/// The `p`-quantile by linear interpolation between order statistics (type 7 of Hyndman & Fan 1996,
/// numpy's default); `None` for no values.
pub fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_of_sorted(&sorted, p)
}

/// [`quantile`] of values that are sorted already.
pub(crate) fn quantile_of_sorted(sorted: &[f64], p: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * p.clamp(0.0, 1.0);
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    // Two infinite neighbours have no difference.
    if sorted[low] == sorted[high] {
        return Some(sorted[low]);
    }
    Some(sorted[low] + (place - low as f64) * (sorted[high] - sorted[low]))
}

/// The `p`-quantile as MLPerf takes it: the smallest value that at least a share `p` of all does not
/// exceed; `None` for no values.
pub fn nearest_rank(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // 0.95 of 20 values is 19, and not the 19.000000000000004 of another order of operations.
    let rank = (p.clamp(0.0, 1.0) * sorted.len() as f64 - 1e-9).ceil().max(1.0);
    sorted.get(rank as usize - 1).copied()
}

/// The fewest values from which the `p`-quantile has an upper bound with 95 % confidence:
/// `1 - p^n >= 0.95`.
pub fn fewest_for_quantile(p: f64) -> usize {
    (0.05f64.ln() / p.ln()).ceil() as usize
}

/// The `p`-quantile, unless there are too few values for it.
pub fn percentile(values: &[f64], p: f64) -> Option<f64> {
    (values.len() >= fewest_for_quantile(p)).then(|| quantile(values, p)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::ranking::tests::close;

    const VALUES: [f64; 10] = [12.1, 10.4, 11.0, 10.9, 15.2, 10.7, 11.3, 50.0, 10.8, 11.1];

    /// numpy.percentile of the same numbers.
    #[test]
    fn quantiles_agree_with_numpy() {
        for (p, want) in [(0.5, 11.05), (0.9, 18.68), (0.95, 34.34), (0.99, 46.868)] {
            close(quantile(&VALUES, p), want);
        }
        assert_eq!(percentile(&VALUES, 0.95), None);
        close(percentile(&VALUES, 0.5), 11.05);
    }

    /// numpy.percentile(method="inverted_cdf") of the same numbers.
    #[test]
    fn nearest_ranks_agree_with_numpy() {
        for (p, want) in [(0.5, 11.0), (0.9, 15.2), (0.95, 50.0), (0.99, 50.0)] {
            close(nearest_rank(&VALUES, p), want);
        }
        assert_eq!(nearest_rank(&[], 0.5), None);
    }

    #[test]
    fn infinite_values_stay_what_they_are() {
        let infinite = [1.0, f64::INFINITY, f64::INFINITY];
        assert_eq!(quantile(&infinite, 0.9), Some(f64::INFINITY));
        assert_eq!(quantile(&infinite, 0.0), Some(1.0));
    }

    /// By hand: 0.5^5 = 0.031, 0.95^58 = 0.0511, 0.95^59 = 0.0485, 0.99^299 = 0.0495.
    #[test]
    fn percentiles_need_enough_values() {
        let fewest = [0.5, 0.9, 0.95, 0.99].map(fewest_for_quantile);
        assert_eq!(fewest, [5, 29, 59, 299]);
    }
}
