//! Outputs to answers, figures and evidence.
//!
//! Three engines answer the same rows, and three pairs of them are compared: PyTorch with the native
//! original, that with the converted model, PyTorch with the converted model.

mod fidelity;
mod figure;
mod labels;
mod pair;
mod resample;
mod sample;

use mlxq_engine::{EngineInfo, Output};
use mlxq_eval::fidelity::LogitFidelity;
use mlxq_eval::gate::{DropEvidence, worse_than_majority};
use mlxq_eval::metric::{Metric, cosine};
use serde_json::{Value, json};

use crate::PipelineError;
use crate::record::{Judgement, Sample};
use crate::task::{Answers, Query, References};

pub(super) use fidelity::{embeddings, fidelity_of, logits};
use figure::Figure;
pub(super) use labels::check as check_labels;
use pair::Measured;
pub(super) use resample::{RESAMPLES, SEED};

/// What one engine gave, and what it says.
pub(super) struct Side<'a> {
    pub(super) info: &'a EngineInfo,
    pub(super) output: &'a Output,
    pub(super) answers: &'a Answers,
}

/// What the sides are judged by.
pub(super) struct Case<'a> {
    /// The figures, the primary one first.
    pub(super) metrics: &'a [Metric],
    /// What is right.
    pub(super) references: &'a References,
    /// Names of the data's labels.
    pub(super) labels: &'a [String],
    /// What each query is called, and its texts.
    pub(super) queries: &'a [Query<'a>],
    /// Whether every two of an engine's rows belong together.
    pub(super) pairs: bool,
    /// Whether both sides are the converted model.
    pub(super) against_itself: bool,
}

/// What comes of it.
pub(super) struct Judged {
    /// The figures of each side, the primary one first.
    pub(super) scores: Vec<Vec<(Metric, f64)>>,
    /// The three comparisons.
    pub(super) judgement: Judgement,
    /// The drop of the primary figure from the first side to the last: what the gate judges.
    pub(super) drop: DropEvidence,
    /// How faithful the last side's logits are to the first's; `None` where there are none.
    pub(super) logits: Option<LogitFidelity>,
    /// Every row's answers.
    pub(super) samples: Vec<Sample>,
}

/// Judges `sides`: PyTorch, if it ran, the native original, the converted model; or that model twice.
///
/// # Errors
/// When the primary figure is undefined on a side. Another that is undefined is left out.
pub(super) fn judge(case: &Case, sides: &[Side]) -> Result<Judged, PipelineError> {
    let mut measured = Vec::new();
    for (place, metric) in case.metrics.iter().enumerate() {
        match Measured::of(*metric, case.references, sides) {
            Some(figure) => measured.push(figure),
            None if place > 0 => {}
            None => {
                let name = metric.name();
                let reason = format!("`{name}` is undefined: all values are equal");
                return Err(PipelineError::Measure(reason));
            }
        }
    }
    let pair = |from, to| pair::pair(case, sides, &measured, [from, to]);
    let judgement = match sides.len() {
        3 => Judgement {
            torch_to_original: Some(pair(0, 1)),
            original_to_converted: Some(pair(1, 2)),
            torch_to_converted: Some(pair(0, 2)),
            converted_to_itself: None,
        },
        _ if case.against_itself => {
            Judgement { converted_to_itself: Some(pair(0, 1)), ..Judgement::default() }
        }
        _ => Judgement { original_to_converted: Some(pair(0, 1)), ..Judgement::default() },
    };
    let last = sides.len() - 1;
    let scores = (0..sides.len())
        .map(|side| measured.iter().map(|figure| (figure.metric, figure.values[side])).collect());
    Ok(Judged {
        scores: scores.collect(),
        judgement,
        drop: drop(case, sides, measured.first()),
        logits: fidelity::logits(sides[0].info, [sides[0].output, sides[last].output]),
        samples: sample::samples(case, sides),
    })
}

/// The drop of the primary figure from the first side to the last, unless the first is worse than saying
/// always the same: then there is nothing to drop from.
fn drop(case: &Case, sides: &[Side], primary: Option<&Measured>) -> DropEvidence {
    let Some(primary) = primary else {
        return DropEvidence::None("the task has no figure".to_owned());
    };
    let counts = figure::confusion(sides[0].answers, case.references);
    match counts.and_then(|counts| worse_than_majority(&counts)) {
        Some(why) => DropEvidence::None(why),
        None => primary.evidence([0, sides.len() - 1]),
    }
}

/// How far two engines' outputs for the same checkpoint are apart: the smallest cosine of a row, the
/// largest difference of a number, and that in relation to the largest number.
pub(super) fn agreement(a: &Output, b: &Output) -> Value {
    let rows = 0..a.rows.min(b.rows);
    let smallest = rows.map(|row| cosine(a.row(row), b.row(row))).fold(f64::INFINITY, f64::min);
    let differences = a.data.iter().zip(&b.data).map(|(a, b)| f64::from((a - b).abs()));
    let largest = differences.fold(0.0, f64::max);
    let scale = a.data.iter().map(|a| f64::from(a.abs())).fold(0.0, f64::max);
    json!({
        "rows": a.rows,
        "smallest_cosine": smallest.is_finite().then_some(smallest),
        "largest_difference": largest,
        "relative_difference": (scale > 0.0).then(|| largest / scale),
    })
}
