//! How two lists of numbers go together.

/// Pearson's correlation, in two passes; `None` when a side is constant or not finite, or there are fewer
/// than two pairs.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() < 2 || x.len() != y.len() || is_constant(x) || is_constant(y) {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (dx, dy) = (x - mean_x, y - mean_y);
        xy += dx * dy;
        xx += dx * dx;
        yy += dy * dy;
    }
    let correlation = xy / (xx.sqrt() * yy.sqrt());
    correlation.is_finite().then(|| correlation.clamp(-1.0, 1.0))
}

/// Equal numbers may differ from their rounded mean, which would leave a correlation of rounding errors.
fn is_constant(values: &[f64]) -> bool {
    values.iter().all(|value| *value == values[0])
}

/// Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank; `None` as
/// there.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    let is_usable = |values: &[f64]| values.iter().all(|value| !value.is_nan());
    (is_usable(x) && is_usable(y)).then(|| pearson(&ranks(x), &ranks(y))).flatten()
}

/// Ranks from 1, equal values sharing the mean of theirs.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    while start < order.len() {
        let value = values[order[start]];
        let equal = order[start..].iter().take_while(|at| values[**at] == value).count();
        let rank = start as f64 + (equal as f64 + 1.0) / 2.0;
        order[start..start + equal.max(1)].iter().for_each(|at| ranks[*at] = rank);
        start += equal.max(1);
    }
    ranks
}

/// Cosine of two vectors, summed in f64; 0 when one has no length.
pub fn cosine(x: &[f32], y: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| -> f64 {
        x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    let lengths = (dot(x, x) * dot(y, y)).sqrt();
    if lengths > 0.0 { dot(x, y) / lengths } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::ranking::tests::close;

    const X: [f64; 10] = [1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 5.0, 8.0, 9.0, 10.0];
    const Y: [f64; 10] = [2.0, 1.0, 4.0, 4.0, 3.0, 6.0, 7.0, 7.0, 9.0, 8.0];

    /// scipy 1.17: spearmanr, pearsonr, rankdata.
    #[test]
    fn correlations_agree_with_scipy() {
        close(spearman(&X, &Y), 0.870_006_566_9);
        close(pearson(&X, &Y), 0.873_333_764_6);
        assert_eq!(ranks(&X), [1.0, 2.5, 2.5, 4.0, 6.0, 6.0, 6.0, 8.0, 9.0, 10.0]);
        assert_eq!(ranks(&Y), [2.0, 1.0, 4.5, 4.5, 3.0, 6.0, 7.5, 7.5, 10.0, 9.0]);
    }

    #[test]
    fn constant_numbers_have_no_correlation() {
        assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0], &[1.0]), None);
        // The mean of three 0.1 is not 0.1 in f64.
        assert_eq!(pearson(&[0.1; 3], &[1.0, 2.0, 4.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN, 2.0], &[1.0, 2.0, 3.0]), None);
    }
}
