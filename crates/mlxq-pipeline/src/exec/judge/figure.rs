//! The figures of answers and references.

use mlxq_eval::metric::{Hits, Metric, average_precision, micro_f1, pearson, spearman};

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
    match metric {
        Metric::Accuracy if !matches!(answers, Answers::Labels(_)) => None,
        Metric::Accuracy => share(right(answers, references)?),
        Metric::MicroF1 => of_sets(answers, references),
        Metric::AveragePrecision => of_relevance(average_precision, answers, references),
        Metric::Pearson => of_scores(pearson, answers, references),
        Metric::Spearman => of_scores(spearman, answers, references),
    }
}

/// Whether a metric is a share of rows, for which there are formulas.
pub(super) fn is_share(metric: Metric) -> bool {
    matches!(metric, Metric::Accuracy)
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

fn of_relevance<'a>(
    function: fn(&[f64], &[bool]) -> Option<f64>,
    answers: &'a Answers,
    references: &References,
) -> Option<Figure<'a>> {
    let Answers::Scores { scores, .. } = answers else { return None };
    let relevant = relevance(references)?;
    Some(Box::new(move |rows| function(&pick(scores, rows), &pick(&relevant, rows))))
}
