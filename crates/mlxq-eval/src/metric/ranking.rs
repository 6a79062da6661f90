//! Scores that should be high where something is relevant.

/// Average precision: the sum over the distinct scores, from the highest on, of the gain in recall
/// times the precision there, as scikit-learn's `average_precision_score`; `None` where no row is
/// relevant or a score is no number.
pub fn average_precision(scores: &[f64], relevant: &[bool]) -> Option<f64> {
    let (mut seen, mut found, mut sum) = (0, 0, 0.0);
    for equal in falling(scores, relevant)?.chunk_by(|a, b| a.0 == b.0) {
        let gained = equal.iter().filter(|(_, relevant)| *relevant).count();
        seen += equal.len();
        found += gained;
        sum += gained as f64 * found as f64 / seen as f64;
    }
    (found > 0).then(|| sum / found as f64)
}

/// Scores with their relevance, the highest first; `None` when one is no number.
fn falling(scores: &[f64], relevant: &[bool]) -> Option<Vec<(f64, bool)>> {
    let mut order: Vec<(f64, bool)> =
        scores.iter().copied().zip(relevant.iter().copied()).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0));
    scores.iter().all(|score| !score.is_nan()).then_some(order)
}

/// From which score on something counts as relevant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The lowest score that counts; infinite where none does.
    pub score: f64,
    /// Share of rows that are decided rightly on the rows where it was found.
    pub accuracy: f64,
}

impl Threshold {
    /// Whether `score` counts as relevant.
    pub fn admits(&self, score: f64) -> bool {
        score >= self.score
    }

    /// Share of other rows that are decided rightly; `None` for none.
    pub fn accuracy_on(&self, scores: &[f64], relevant: &[bool]) -> Option<f64> {
        let right = scores.iter().zip(relevant).filter(|(s, r)| self.admits(**s) == **r).count();
        (!scores.is_empty()).then(|| right as f64 / scores.len() as f64)
    }
}

/// The threshold with the highest accuracy, as sentence-transformers 6.2 finds it
/// (`BinaryClassificationEvaluator.find_best_acc_and_threshold`): none relevant, then a cut after each
/// distinct score from the highest on; the first of the best counts, and lies midway to the next score.
/// Where none relevant is best, the threshold is infinite here, and the number just above the highest
/// score there. `None` for no rows, or when a score is no number.
///
/// A threshold is fitted to the rows it is found on: judge it on others.
pub fn best_threshold(scores: &[f64], relevant: &[bool]) -> Option<Threshold> {
    let order = falling(scores, relevant)?;
    if order.is_empty() {
        return None;
    }
    let negatives = order.iter().filter(|(_, relevant)| !relevant).count();
    let mut best = (negatives, f64::INFINITY);
    let mut right = negatives;
    for (place, (score, relevant)) in order.iter().enumerate() {
        right = if *relevant { right + 1 } else { right - 1 };
        let next = order.get(place + 1).map(|(next, _)| *next);
        if next == Some(*score) || right <= best.0 {
            continue;
        }
        let middle = next.map_or(*score, |next| (score + next) / 2.0);
        // A middle that is rounded down to the next score would count it in.
        let threshold = if Some(middle) == next { *score } else { middle };
        best = (right, threshold);
    }
    let accuracy = best.0 as f64 / order.len() as f64;
    Some(Threshold { score: best.1, accuracy })
}

/// Normalised discounted cumulative gain of the first `k` (Järvelin & Kekäläinen 2002, with linear gains
/// as trec_eval and BEIR): `gains` of the ranking, the best first, against the best order of `judged`, all
/// gains that there are for the query. `None` when no gain is positive: such a query has no figure.
pub fn ndcg(gains: &[f64], judged: &[f64], k: usize) -> Option<f64> {
    let mut ideal = judged.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let best = discounted(&ideal, k);
    (best > 0.0).then(|| discounted(gains, k) / best)
}

fn discounted(gains: &[f64], k: usize) -> f64 {
    let ranked = gains.iter().take(k).enumerate();
    ranked.map(|(place, gain)| gain / (place as f64 + 2.0).log2()).sum()
}

/// Share of the `total` relevant items of a query that are among the first `k` of its ranking, of which
/// `relevant` says which are; `None` where there are none.
pub fn recall(relevant: &[bool], total: usize, k: usize) -> Option<f64> {
    let found = relevant.iter().take(k).filter(|relevant| **relevant).count();
    (total > 0).then(|| found as f64 / total as f64)
}

#[cfg(test)]
pub(in crate::metric) mod tests {
    use super::*;

    pub(in crate::metric) fn close(got: Option<f64>, want: f64) {
        assert!(got.is_some_and(|got| (got - want).abs() < 1e-9), "{got:?} {want}");
    }

    /// scikit-learn 1.9: `average_precision_score`, with equal scores among them. Walking equal scores
    /// in the order of the rows would give 0.7333 for the second.
    #[test]
    fn average_precision_agrees_with_scikit_learn() {
        let scores = [0.9, 0.8, 0.8, 0.8, 0.5, 0.4, 0.4, 0.1];
        let relevant = [true, false, true, false, true, false, true, false];
        close(average_precision(&scores, &relevant), 0.667_857_142_857_142_8);
        let scores = [0.9, 0.9, 0.7, 0.6, 0.6, 0.6, 0.2, 0.1];
        let relevant = [true, false, true, false, true, true, false, false];
        close(average_precision(&scores, &relevant), 0.625);
        assert_eq!(average_precision(&scores, &[false; 8]), None);
        assert_eq!(average_precision(&[f64::NAN], &[true]), None);
    }

    /// By hand, after the rule of sentence-transformers: cuts only between different scores.
    #[test]
    fn the_best_threshold_cuts_between_different_scores() {
        let best = |scores: &[f64], relevant: &[bool]| {
            best_threshold(scores, relevant).map(|best| (best.score, best.accuracy))
        };
        assert_eq!(
            best(&[0.9, 0.7, 0.5, 0.1], &[true, true, false, false]),
            Some(((0.7 + 0.5) / 2.0, 1.0))
        );
        // Equal scores are decided alike: one of the two is wrong.
        assert_eq!(best(&[0.9, 0.9, 0.1], &[true, false, false]), Some((f64::INFINITY, 2.0 / 3.0)));
        assert_eq!(best(&[0.3, 0.2], &[true, true]), Some((0.2, 1.0)));
        assert_eq!(best(&[0.3, 0.2], &[false, false]), Some((f64::INFINITY, 1.0)));
        assert_eq!(best(&[], &[]), None);
        let next = f64::from_bits(0.5f64.to_bits() + 1);
        let found = best_threshold(&[next, 0.5], &[true, false]).expect("rows");
        assert_eq!((found.score, found.accuracy), (next, 1.0));
        assert_eq!(found.accuracy_on(&[0.6, 0.4, next], &[true, false, false]), Some(2.0 / 3.0));
    }

    /// Computed once from the published formula in Python: hits at the ranks 1, 4 and 6 of five relevant
    /// ones, and graded gains. `peers/tests/test_evaluation.py` compares with scikit-learn.
    #[test]
    fn ndcg_has_linear_gains() {
        let mut gains = [0.0; 12];
        for rank in [1, 4, 6, 11] {
            gains[rank - 1] = 1.0;
        }
        close(ndcg(&gains, &[1.0; 5], 10), 0.606_039_857_8);
        let graded = [2.0, 0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 1.0, 0.0, 0.0];
        close(ndcg(&graded, &[1.0, 2.0, 1.0, 2.0, 1.0], 10), 0.783_766_260_4);
        assert_eq!(ndcg(&graded, &[], 10), None);
    }

    #[test]
    fn recall_counts_the_first() {
        assert_eq!(recall(&[true, false, true, true], 4, 3), Some(0.5));
        assert_eq!(recall(&[true], 0, 3), None);
    }
}
