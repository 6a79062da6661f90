//! Figures computed again from the rows of `samples.jsonl`.

use mlxq_eval::metric::{Hits, average_precision, micro_f1, pearson, spearman};
use serde_json::Value;

use super::{Sample, SideAnswer};

/// A figure of a choice of rows, given by their places; `None` where it is undefined.
pub(crate) type RowsFigure<'a> = Box<dyn Fn(&[usize]) -> Option<f64> + 'a>;

/// The figure called `metric` of the answers that `side` takes from each row.
///
/// # Errors
/// When rows have not what the metric needs, or there is no such metric, with the reason.
pub(crate) fn figure<'a>(
    metric: &str,
    samples: &'a [Sample],
    side: fn(&Sample) -> &SideAnswer,
) -> Result<RowsFigure<'a>, String> {
    let lacking = |what: &str| format!("`{metric}` needs {what} in every row");
    match metric {
        "accuracy" => {
            let right = right(samples, side).ok_or_else(|| lacking("`right`"))?;
            Ok(Box::new(move |rows| {
                let count = rows.iter().filter(|row| right[**row]).count();
                (!rows.is_empty()).then(|| count as f64 / rows.len() as f64)
            }))
        }
        "spearman_correlation" | "pearson_correlation" | "average_precision" => {
            let (scores, gold) = scores(samples, side).ok_or_else(|| lacking("numbers"))?;
            let name = metric.to_owned();
            Ok(Box::new(move |rows| {
                let pick = |values: &[f64]| rows.iter().map(|row| values[*row]).collect::<Vec<_>>();
                let (scores, gold) = (pick(&scores), pick(&gold));
                match name.as_str() {
                    "spearman_correlation" => spearman(&scores, &gold),
                    "pearson_correlation" => pearson(&scores, &gold),
                    _ => average_precision(
                        &scores,
                        &gold.iter().map(|gold| *gold > 0.0).collect::<Vec<_>>(),
                    ),
                }
            }))
        }
        "micro_f1" => {
            let hits = hits(samples, side).ok_or_else(|| lacking("lists of labels"))?;
            Ok(Box::new(move |rows| micro_f1(rows.iter().map(|row| hits[*row]))))
        }
        _ => Err(format!("`{metric}` is not computed from rows")),
    }
}

/// Which rows are right; `None` where answers are not right or wrong.
pub(crate) fn right(samples: &[Sample], side: fn(&Sample) -> &SideAnswer) -> Option<Vec<bool>> {
    samples.iter().map(|sample| side(sample).right).collect()
}

fn scores(samples: &[Sample], side: fn(&Sample) -> &SideAnswer) -> Option<(Vec<f64>, Vec<f64>)> {
    let pair = |sample: &Sample| Some((side(sample).prediction.as_f64()?, sample.gold.as_f64()?));
    samples.iter().map(pair).collect()
}

fn hits(samples: &[Sample], side: fn(&Sample) -> &SideAnswer) -> Option<Vec<Hits>> {
    let mut known: Vec<Value> = Vec::new();
    let mut ids = |labels: &Value| -> Option<Vec<usize>> {
        let id = |label: &Value| {
            known.iter().position(|other| other == label).unwrap_or_else(|| {
                known.push(label.clone());
                known.len() - 1
            })
        };
        let mut ids: Vec<usize> = labels.as_array()?.iter().map(id).collect();
        ids.sort_unstable();
        Some(ids)
    };
    let hit =
        |sample: &Sample| Some(Hits::count(&ids(&side(sample).prediction)?, &ids(&sample.gold)?));
    samples.iter().map(hit).collect()
}
