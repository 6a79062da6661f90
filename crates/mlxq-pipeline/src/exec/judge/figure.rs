//! The figures of answers and references.

use mlxq_eval::metric::{
    Confusion, Hits, Metric, average_precision, micro_f1, ndcg, pearson, recall,
};

use crate::task::{Answers, References};

/// A figure of a choice of rows, given by their places; `None` where it is undefined.
pub(super) type Figure<'a> = Box<dyn Fn(&[usize]) -> Option<f64> + 'a>;

/// The figure `metric` of the rows; `None` when answers and references are of kinds that it does not
/// compare.
pub(super) fn figure<'a>(
    metric: Metric,
    answers: &'a Answers,
    references: &'a References,
) -> Option<Figure<'a>> {
    let is_labelled = matches!(answers, Answers::Labels(_));
    match metric {
        Metric::Accuracy if !is_labelled => None,
        Metric::SimilarityAccuracy if is_labelled => None,
        Metric::Accuracy | Metric::SimilarityAccuracy => share(right(answers, references)?),
        Metric::MicroF1 if !is_labelled => of_sets(answers, references),
        Metric::BalancedAccuracy => of_counts(Confusion::balanced_accuracy, answers, references),
        // Of the second of two classes, the one that says yes.
        Metric::BinaryF1 if classes(answers) == 2 => of_counts(|it| it.f1(1), answers, references),
        Metric::BinaryF1 => None,
        Metric::MacroF1 => of_counts(Confusion::macro_f1, answers, references),
        Metric::MicroF1 => of_counts(Confusion::micro_f1, answers, references),
        Metric::Matthews => of_counts(Confusion::matthews, answers, references),
        Metric::AveragePrecision => of_relevance(average_precision, answers, references),
        Metric::Pearson => of_scores(pearson, answers, references),
        Metric::Spearman => of_ranks(answers, references),
        Metric::Ndcg10 => of_rankings(|gains, judged| ndcg(gains, judged, 10), answers, references),
        Metric::Recall10 => {
            of_rankings(|gains, judged| found(gains, judged, 10), answers, references)
        }
        Metric::Recall100 => {
            of_rankings(|gains, judged| found(gains, judged, 100), answers, references)
        }
    }
}

/// Number of classes scored; 0 for answers that are no labels.
fn classes(answers: &Answers) -> usize {
    match answers {
        Answers::Labels(labelled) => labelled.count(),
        _ => 0,
    }
}

/// Recall of a ranking's first `k` documents.
fn found(gains: &[f64], judged: &[f64], k: usize) -> Option<f64> {
    let relevant: Vec<bool> = gains.iter().map(|gain| *gain > 0.0).collect();
    recall(&relevant, judged.len(), k)
}

/// Whether a metric is a share of rows, for which there are formulas.
pub(super) fn is_share(metric: Metric) -> bool {
    matches!(metric, Metric::Accuracy | Metric::SimilarityAccuracy)
}

/// Which rows are right, `[rows]`; `None` where answers are not right or wrong.
pub(super) fn right(answers: &Answers, references: &References) -> Option<Vec<bool>> {
    match (answers, references) {
        (Answers::Labels(labelled), References::Labels(labels)) => {
            let rows = labels.iter().enumerate();
            let of_data = &labelled.classes.of_data;
            Some(rows.map(|(row, label)| labelled.class(row) == Some(of_data[*label])).collect())
        }
        (Answers::Scores { scores, threshold: Some(threshold) }, _) => {
            let rows = scores.iter().zip(relevance(references)?);
            Some(rows.map(|(score, relevant)| (score >= threshold) == relevant).collect())
        }
        _ => None,
    }
}

/// Which rows should say yes: those of the second of two labels, or with a score above 0.
fn relevance(references: &References) -> Option<Vec<bool>> {
    match references {
        References::Labels(labels) => Some(labels.iter().map(|label| *label == 1).collect()),
        References::Scores(scores) => Some(scores.iter().map(|score| *score > 0.0).collect()),
        _ => None,
    }
}

fn pick<T: Copy>(values: &[T], rows: &[usize]) -> Vec<T> {
    rows.iter().map(|row| values[*row]).collect()
}

/// The share of rows that are right.
fn share<'a>(right: Vec<bool>) -> Option<Figure<'a>> {
    Some(Box::new(move |rows| {
        let count = rows.iter().filter(|row| right[**row]).count();
        (!rows.is_empty()).then(|| count as f64 / rows.len() as f64)
    }))
}

/// The counts of right and said classes; `None` for answers that are no labels.
pub(super) fn confusion(answers: &Answers, references: &References) -> Option<Confusion> {
    let (Answers::Labels(labelled), References::Labels(labels)) = (answers, references) else {
        return None;
    };
    let right: Vec<usize> = labels.iter().map(|label| labelled.classes.of_data[*label]).collect();
    let said: Vec<Option<usize>> = (0..labels.len()).map(|row| labelled.class(row)).collect();
    Some(Confusion::count(labelled.count(), &right, &said))
}

/// A function of the counts of right and said classes.
fn of_counts<'a>(
    function: fn(&Confusion) -> Option<f64>,
    answers: &Answers,
    references: &References,
) -> Option<Figure<'a>> {
    let (Answers::Labels(labelled), References::Labels(labels)) = (answers, references) else {
        return None;
    };
    let right: Vec<usize> = labels.iter().map(|label| labelled.classes.of_data[*label]).collect();
    let said: Vec<Option<usize>> = (0..labels.len()).map(|row| labelled.class(row)).collect();
    let classes = labelled.count();
    Some(Box::new(move |rows| {
        function(&Confusion::count(classes, &pick(&right, rows), &pick(&said, rows)))
    }))
}

/// The mean over queries of a function of each ranking's gains and of all gains there are to win.
fn of_rankings<'a>(
    function: impl Fn(&[f64], &[f64]) -> Option<f64>,
    answers: &Answers,
    references: &References,
) -> Option<Figure<'a>> {
    let (Answers::Rankings(rankings), References::Judged(judged)) = (answers, references) else {
        return None;
    };
    let queries = rankings.iter().zip(judged);
    let values: Option<Vec<f64>> =
        queries.map(|(ranking, judged)| function(&ranking.gains, judged)).collect();
    let values = values?;
    Some(Box::new(move |rows| {
        let sum: f64 = rows.iter().map(|row| values[*row]).sum();
        (!rows.is_empty()).then(|| sum / rows.len() as f64)
    }))
}

fn of_sets<'a>(answers: &Answers, references: &References) -> Option<Figure<'a>> {
    let (Answers::Sets(answers), References::Sets(references)) = (answers, references) else {
        return None;
    };
    let pairs = answers.iter().zip(references);
    let hits: Vec<Hits> = pairs.map(|(a, r)| Hits::count(a, r)).collect();
    Some(Box::new(move |rows| micro_f1(rows.iter().map(|row| hits[*row]))))
}

fn of_scores<'a>(
    function: fn(&[f64], &[f64]) -> Option<f64>,
    answers: &'a Answers,
    references: &'a References,
) -> Option<Figure<'a>> {
    let (Answers::Scores { scores, .. }, References::Scores(gold)) = (answers, references) else {
        return None;
    };
    Some(Box::new(move |rows| function(&pick(scores, rows), &pick(gold, rows))))
}

/// Spearman's correlation. Each side is sorted once; the ranks of a choice of rows, in which some stand
/// several times, follow from that order.
fn of_ranks<'a>(answers: &'a Answers, references: &'a References) -> Option<Figure<'a>> {
    let (Answers::Scores { scores, .. }, References::Scores(gold)) = (answers, references) else {
        return None;
    };
    let orders = [ordered(scores), ordered(gold)];
    Some(Box::new(move |rows| {
        let mut times = vec![0u32; scores.len()];
        rows.iter().for_each(|row| times[*row] += 1);
        let [x, y] = [0, 1].map(|side| {
            let ranks = ranks_of(&orders[side], [scores, gold][side], &times);
            pick(&ranks, rows)
        });
        pearson(&x, &y)
    }))
}

/// The places of `values` from the smallest on.
fn ordered(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    order
}

/// The rank of each row where row `r` stands `times[r]` times; equal values share their mean rank.
fn ranks_of(order: &[usize], values: &[f64], times: &[u32]) -> Vec<f64> {
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let count: u32 = equal.iter().map(|row| times[*row]).sum();
        let rank = before + (f64::from(count) + 1.0) / 2.0;
        equal.iter().for_each(|row| ranks[*row] = rank);
        before += f64::from(count);
    }
    ranks
}

fn of_relevance<'a>(
    function: fn(&[f64], &[bool]) -> Option<f64>,
    answers: &'a Answers,
    references: &References,
) -> Option<Figure<'a>> {
    let Answers::Scores { scores, .. } = answers else { return None };
    let relevant = relevance(references)?;
    Some(Box::new(move |rows| function(&pick(scores, rows), &pick(&relevant, rows))))
}

#[cfg(test)]
mod tests {
    use mlxq_eval::metric::spearman;

    use super::*;

    /// The ranks of any choice of rows are those of sorting it.
    #[test]
    fn ranks_of_repeated_rows_are_those_of_sorting_them() {
        let scores = vec![0.3, 0.1, 0.3, 0.9, 0.2, 0.1, 0.7];
        let gold = vec![1.0, 0.0, 2.0, 2.0, 2.0, 0.0, 3.0];
        let (answers, references) = (
            Answers::Scores { scores: scores.clone(), threshold: None },
            References::Scores(gold.clone()),
        );
        let figure = figure(Metric::Spearman, &answers, &references).expect("scores");
        for rows in [vec![0, 1, 2, 3, 4, 5, 6], vec![6, 6, 0, 2, 2, 5, 1], vec![3, 3, 3, 1]] {
            let [x, y] = [&scores, &gold].map(|values| pick(values, &rows));
            assert_eq!(figure(&rows), spearman(&x, &y), "{rows:?}");
        }
        assert_eq!(figure(&[2, 2, 2]), None);
    }
}
