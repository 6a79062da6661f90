//! Outputs to figures and evidence.

use std::collections::BTreeMap;

use mlxq_engine::{EngineInfo, Output, OutputKind};
use mlxq_eval::data::{Dataset, Target};
use mlxq_eval::gate::DropEvidence;
use mlxq_eval::labels::match_labels;
use mlxq_eval::metric::{accuracy, cosine, pearson, spearman};
use mlxq_eval::stats::{Drop, paired_difference};
use serde_json::{Value, json};

use crate::PipelineError;
use crate::config::Task;
use crate::predict::largest;

/// Resamples of the paired bootstrap, and its seed.
pub(super) const RESAMPLES: usize = 10_000;
pub(super) const SEED: u64 = 42;

/// What one engine answered to every query.
pub(super) enum Answers {
    /// The cosine of each pair.
    Cosines(Vec<f64>),
    /// The data label of each row, by the model's largest logit; `None` for a model label that the
    /// data does not have.
    Labels(Vec<Option<usize>>),
}

/// What each query should be answered with.
pub(super) enum References {
    Scores(Vec<f64>),
    Labels(Vec<usize>),
}

impl References {
    /// The targets of a data set, which must be what the task needs.
    ///
    /// # Errors
    /// When they are not.
    pub(super) fn of(dataset: &Dataset, task: Task) -> Result<Self, PipelineError> {
        let score = |target: &Target| match target {
            Target::Score(score) => Some(*score),
            Target::Label(_) => None,
        };
        let label = |target: &Target| match target {
            Target::Label(label) => Some(*label),
            Target::Score(_) => None,
        };
        let targets = || dataset.rows.iter().map(|row| &row.target);
        let (found, column) = match task {
            Task::Similarity => {
                (targets().map(score).collect::<Option<_>>().map(Self::Scores), "score")
            }
            Task::Classification => {
                (targets().map(label).collect::<Option<_>>().map(Self::Labels), "label")
            }
        };
        found.ok_or_else(|| {
            let task = task.name();
            PipelineError::Usage(format!(
                "task `{task}` needs a data set with the column `{column}`"
            ))
        })
    }

    /// The first hundred, for the record.
    pub(super) fn first(&self) -> Vec<Value> {
        match self {
            Self::Scores(scores) => scores.iter().take(100).map(|x| json!(x)).collect(),
            Self::Labels(labels) => labels.iter().take(100).map(|x| json!(x)).collect(),
        }
    }
}

impl Answers {
    /// From an engine's outputs.
    ///
    /// # Errors
    /// When the model has no head for a classification, or its labels do not fit the data's.
    pub(super) fn of(
        output: &Output,
        info: &EngineInfo,
        task: Task,
        dataset: &Dataset,
        label_map: &BTreeMap<String, String>,
    ) -> Result<Self, PipelineError> {
        if let Some(bad) = output.data.iter().position(|x| !x.is_finite()) {
            let row = bad / output.cols.max(1);
            let reason =
                format!("the {} engine gives {} in row {row}", info.engine, output.data[bad]);
            return Err(PipelineError::Measure(reason));
        }
        match task {
            Task::Similarity => {
                let pairs = (0..output.rows).step_by(2);
                let cosine = |row| cosine(output.row(row), output.row(row + 1));
                Ok(Self::Cosines(pairs.map(cosine).collect()))
            }
            Task::Classification if info.output == OutputKind::Embedding => {
                let reason = "the model has no classification head, which the task needs";
                Err(PipelineError::Usage(reason.to_owned()))
            }
            Task::Classification => {
                let places = match_labels(&dataset.labels, &info.labels, label_map)?;
                let data_label = |model: usize| places.iter().position(|place| *place == model);
                let rows = 0..output.rows;
                Ok(Self::Labels(rows.map(|row| data_label(largest(output.row(row)))).collect()))
            }
        }
    }

    /// The primary figure, and Pearson's correlation of a similarity.
    ///
    /// # Errors
    /// When a correlation is undefined.
    pub(super) fn figures(
        &self,
        references: &References,
    ) -> Result<(f64, Option<f64>), PipelineError> {
        let undefined = || {
            PipelineError::Measure("the correlation is undefined: all values are equal".to_owned())
        };
        match (self, references) {
            (Self::Cosines(cosines), References::Scores(scores)) => {
                let primary = spearman(cosines, scores).ok_or_else(undefined)?;
                Ok((primary, Some(pearson(cosines, scores).ok_or_else(undefined)?)))
            }
            (Self::Labels(labels), References::Labels(references)) => {
                let labels: Vec<usize> = labels.iter().map(|l| l.unwrap_or(usize::MAX)).collect();
                Ok((accuracy(&labels, references).ok_or_else(undefined)?, None))
            }
            _ => Err(PipelineError::Measure("answers and references are of two kinds".to_owned())),
        }
    }

    /// The first hundred, for the record.
    pub(super) fn first(&self) -> Vec<Value> {
        match self {
            Self::Cosines(cosines) => cosines.iter().take(100).map(|x| json!(x)).collect(),
            Self::Labels(labels) => labels.iter().take(100).map(|x| json!(x)).collect(),
        }
    }
}

/// The drop from `baseline` to `converted` on the same rows.
pub(super) fn drop(
    baseline: &Answers,
    converted: &Answers,
    references: &References,
) -> DropEvidence {
    match (baseline, converted, references) {
        (Answers::Labels(base), Answers::Labels(conv), References::Labels(references)) => {
            let right = |labels: &[Option<usize>]| -> Vec<bool> {
                labels.iter().zip(references).map(|(label, right)| *label == Some(*right)).collect()
            };
            DropEvidence::Accuracy(Drop::count(&right(base), &right(conv)))
        }
        (Answers::Cosines(base), Answers::Cosines(conv), References::Scores(scores)) => {
            correlation_drop(base, conv, scores)
        }
        _ => DropEvidence::None("answers and references are of two kinds".to_owned()),
    }
}

fn correlation_drop(base: &[f64], conv: &[f64], scores: &[f64]) -> DropEvidence {
    let difference = |rows: &[usize]| {
        let pick = |values: &[f64]| -> Vec<f64> { rows.iter().map(|row| values[*row]).collect() };
        let scores = pick(scores);
        Some(spearman(&pick(base), &scores)? - spearman(&pick(conv), &scores)?)
    };
    let all: Vec<usize> = (0..scores.len()).collect();
    let estimate =
        difference(&all).zip(paired_difference(scores.len(), RESAMPLES, SEED, difference));
    match estimate {
        Some((drop, bootstrap)) => DropEvidence::Correlation {
            drop,
            bounds: bootstrap.bounds,
            rows: scores.len(),
            resamples: bootstrap.resamples,
        },
        None => DropEvidence::None("the correlation is undefined on too many resamples".to_owned()),
    }
}

/// How far two engines' outputs for the same checkpoint are apart: the smallest cosine of a row, and
/// the largest difference of a number.
pub(super) fn agreement(a: &Output, b: &Output) -> Value {
    let rows = 0..a.rows.min(b.rows);
    let smallest = rows.map(|row| cosine(a.row(row), b.row(row))).fold(f64::INFINITY, f64::min);
    let largest = a.data.iter().zip(&b.data).map(|(a, b)| f64::from((a - b).abs()));
    json!({
        "rows": a.rows,
        "smallest_cosine": smallest.is_finite().then_some(smallest),
        "largest_difference": largest.fold(0.0, f64::max),
    })
}
