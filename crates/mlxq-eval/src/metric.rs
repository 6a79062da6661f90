//! Figures of merit over plain slices, in f64.

/// The figures that tasks are measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// [`accuracy`].
    Accuracy,
    /// [`average_precision`].
    AveragePrecision,
    /// [`micro_f1`].
    MicroF1,
    /// [`pearson`].
    Pearson,
    /// [`spearman`].
    Spearman,
}

impl Metric {
    /// The name that records use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::AveragePrecision => "average_precision",
            Self::MicroF1 => "micro_f1",
            Self::Pearson => "pearson_correlation",
            Self::Spearman => "spearman_correlation",
        }
    }

    /// The name of its hundredfold in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy %",
            Self::AveragePrecision => "average precision %",
            Self::MicroF1 => "micro F1 %",
            Self::Pearson => "Pearson x 100",
            Self::Spearman => "Spearman x 100",
        }
    }
}

/// Share of equal pairs; `None` for none.
pub fn accuracy(predictions: &[usize], references: &[usize]) -> Option<f64> {
    let right = predictions.iter().zip(references).filter(|(a, b)| a == b).count();
    (!references.is_empty()).then(|| right as f64 / references.len() as f64)
}

/// How the predicted classes of a row compare with its right ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Predicted and right.
    pub hit: usize,
    /// Predicted and wrong.
    pub wrong: usize,
    /// Right and not predicted.
    pub missed: usize,
}

impl Hits {
    /// Counts them in two lists without repetitions.
    pub fn count(predicted: &[usize], right: &[usize]) -> Self {
        let hit = predicted.iter().filter(|class| right.contains(class)).count();
        Self { hit, wrong: predicted.len() - hit, missed: right.len() - hit }
    }
}

/// F1 over all classes of all rows together: `2 hit / (2 hit + wrong + missed)`, as scikit-learn's
/// `f1_score(average="micro")` counts; `None` where nothing is predicted and nothing is right.
pub fn micro_f1(rows: impl IntoIterator<Item = Hits>) -> Option<f64> {
    let (mut hit, mut others) = (0, 0);
    for row in rows {
        hit += row.hit;
        others += row.wrong + row.missed;
    }
    let all = 2 * hit + others;
    (all > 0).then(|| (2 * hit) as f64 / all as f64)
}

/// Average precision: the sum over the distinct scores, from the highest on, of the gain in recall
/// times the precision there, as scikit-learn's `average_precision_score`; `None` where no row is
/// relevant.
pub fn average_precision(scores: &[f64], relevant: &[bool]) -> Option<f64> {
    let total = relevant.iter().filter(|relevant| **relevant).count();
    let mut order: Vec<(f64, bool)> =
        scores.iter().copied().zip(relevant.iter().copied()).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut seen, mut found, mut sum) = (0, 0, 0.0);
    for equal in order.chunk_by(|a, b| a.0 == b.0) {
        let gained = equal.iter().filter(|(_, relevant)| *relevant).count();
        seen += equal.len();
        found += gained;
        sum += gained as f64 * found as f64 / seen as f64;
    }
    (total > 0).then(|| sum / total as f64)
}

/// Pearson's correlation, in two passes; `None` when a side is constant or there are fewer than two
/// pairs.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    if x.len() < 2 || x.len() != y.len() {
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

/// Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank.
pub fn spearman(x: &[f64], y: &[f64]) -> Option<f64> {
    pearson(&ranks(x), &ranks(y))
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

/// The `p`-quantile by linear interpolation between order statistics (type 7 of Hyndman & Fan 1996,
/// numpy's default); `None` for no values.
pub fn quantile(values: &[f64], p: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = last as f64 * p.clamp(0.0, 1.0);
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    Some(sorted[low] + (place - low as f64) * (sorted[high] - sorted[low]))
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

    const X: [f64; 10] = [1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 5.0, 8.0, 9.0, 10.0];
    const Y: [f64; 10] = [2.0, 1.0, 4.0, 4.0, 3.0, 6.0, 7.0, 7.0, 9.0, 8.0];

    fn close(got: Option<f64>, want: f64) {
        assert!(got.is_some_and(|got| (got - want).abs() < 1e-9), "{got:?} {want}");
    }

    /// scipy 1.17: spearmanr, pearsonr, rankdata.
    #[test]
    fn correlations_agree_with_scipy() {
        close(spearman(&X, &Y), 0.870_006_566_9);
        close(pearson(&X, &Y), 0.873_333_764_6);
        assert_eq!(ranks(&X), [1.0, 2.5, 2.5, 4.0, 6.0, 6.0, 6.0, 8.0, 9.0, 10.0]);
        assert_eq!(pearson(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0], &[1.0]), None);
    }

    /// numpy.percentile of the same numbers.
    #[test]
    fn quantiles_agree_with_numpy() {
        let values = [12.1, 10.4, 11.0, 10.9, 15.2, 10.7, 11.3, 50.0, 10.8, 11.1];
        for (p, want) in [(0.5, 11.05), (0.9, 18.68), (0.95, 34.34), (0.99, 46.868)] {
            close(quantile(&values, p), want);
        }
        assert_eq!(percentile(&values, 0.95), None);
        close(percentile(&values, 0.5), 11.05);
    }

    /// By hand: 0.5^5 = 0.031, 0.95^58 = 0.0511, 0.95^59 = 0.0485, 0.99^299 = 0.0495.
    #[test]
    fn percentiles_need_enough_values() {
        let fewest = [0.5, 0.9, 0.95, 0.99].map(fewest_for_quantile);
        assert_eq!(fewest, [5, 29, 59, 299]);
    }

    /// scikit-learn 1.9: `f1_score(average="micro")` of five rows and three classes.
    #[test]
    fn micro_f1_agrees_with_scikit_learn() {
        let right: [&[usize]; 5] = [&[0, 2], &[], &[1], &[0, 1], &[2]];
        let predicted: [&[usize]; 5] = [&[0], &[1], &[1], &[0, 2], &[2]];
        let hits = |(p, r): (&&[usize], &&[usize])| Hits::count(p, r);
        close(micro_f1(predicted.iter().zip(&right).map(hits)), 0.666_666_666_666_666_6);
        assert_eq!(micro_f1([Hits::default()]), None);
    }

    /// scikit-learn 1.9: `average_precision_score`, with equal scores among them.
    #[test]
    fn average_precision_agrees_with_scikit_learn() {
        let scores = [0.9, 0.8, 0.8, 0.8, 0.5, 0.4, 0.4, 0.1];
        let relevant = [true, false, true, false, true, false, true, false];
        close(average_precision(&scores, &relevant), 0.667_857_142_857_142_8);
        assert_eq!(average_precision(&scores, &[false; 8]), None);
    }

    #[test]
    fn accuracy_counts_equal_pairs() {
        assert_eq!(accuracy(&[1, 0, 2, 2], &[1, 1, 2, 0]), Some(0.5));
        assert_eq!(accuracy(&[], &[]), None);
    }
}
