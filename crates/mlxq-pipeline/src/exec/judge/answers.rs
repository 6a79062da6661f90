//! What engines answered, what they should have, and the figures of both.

use std::collections::BTreeMap;

use mlxq_engine::{EngineInfo, Output, OutputKind};
use mlxq_eval::data::{Dataset, Target};
use mlxq_eval::labels::{Classes, match_labels};
use mlxq_eval::metric::{Hits, Metric, average_precision, cosine, micro_f1, pearson, spearman};

use crate::PipelineError;
use crate::config::Task;
use crate::predict::largest;

/// What one engine answered to every query.
pub(in crate::exec) enum Answers {
    /// A cosine of each pair, or a logit of each row.
    Scores(Vec<f64>),
    /// The class of each row by the model's largest logit; `None` for a model label that the data
    /// does not have.
    Labels { classes: Classes, rows: Vec<Option<usize>> },
    /// The data labels of each row whose logits are positive.
    Sets(Vec<Vec<usize>>),
}

/// What each query should be answered with.
pub(in crate::exec) enum References {
    /// A graded score.
    Scores(Vec<f64>),
    /// A data label.
    Labels(Vec<usize>),
    /// Any number of data labels.
    Sets(Vec<Vec<usize>>),
}

impl References {
    /// The targets of a data set, which must be what the task needs.
    ///
    /// # Errors
    /// When they are not.
    pub(in crate::exec) fn of(dataset: &Dataset, task: Task) -> Result<Self, PipelineError> {
        let targets = || dataset.rows.iter().map(|row| &row.target);
        let score = |target: &Target| match target {
            Target::Score(score) => Some(*score),
            _ => None,
        };
        let label = |target: &Target| match target {
            Target::Label(label) => Some(*label),
            _ => None,
        };
        let labels = |target: &Target| match target {
            Target::Labels(labels) => Some(labels.clone()),
            _ => None,
        };
        let (found, column) = match task {
            Task::Similarity | Task::Regression | Task::Reranking => {
                (targets().map(score).collect::<Option<_>>().map(Self::Scores), "score")
            }
            Task::Classification => {
                (targets().map(label).collect::<Option<_>>().map(Self::Labels), "label")
            }
            Task::MultiLabel => {
                (targets().map(labels).collect::<Option<_>>().map(Self::Sets), "labels")
            }
        };
        found.ok_or_else(|| {
            let task = task.name();
            PipelineError::Usage(format!(
                "task `{task}` needs a data set with the column `{column}`"
            ))
        })
    }

    /// Number of queries.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Scores(scores) => scores.len(),
            Self::Labels(labels) => labels.len(),
            Self::Sets(sets) => sets.len(),
        }
    }

}

impl Answers {
    /// From an engine's outputs.
    ///
    /// # Errors
    /// When the model has not the head that the task needs, its labels do not fit the data's, or a
    /// number is not finite.
    pub(in crate::exec) fn of(
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
        check_head(output, info, task)?;
        let rows = 0..output.rows;
        Ok(match task {
            Task::Similarity => {
                let pairs = rows.step_by(2);
                let cosine = |row| cosine(output.row(row), output.row(row + 1));
                Self::Scores(pairs.map(cosine).collect())
            }
            Task::Regression | Task::Reranking => {
                Self::Scores(output.data.iter().map(|logit| f64::from(*logit)).collect())
            }
            Task::Classification => {
                let classes = match_labels(&dataset.labels, &info.labels, label_map)?;
                let class = |row| classes.of_model.get(largest(output.row(row))).copied().flatten();
                let rows = rows.map(class).collect();
                Self::Labels { classes, rows }
            }
            Task::MultiLabel => {
                let classes = match_labels(&dataset.labels, &info.labels, label_map)?;
                let labels = |row| {
                    let logits = output.row(row).iter().zip(&classes.of_model);
                    logits
                        .filter(|(logit, _)| **logit > 0.0)
                        .filter_map(|(_, label)| *label)
                        .collect()
                };
                Self::Sets(rows.map(labels).collect())
            }
        })
    }

    /// How labels were put together, in words, if they were.
    pub(in crate::exec) fn fold(&self) -> Option<&str> {
        match self {
            Self::Labels { classes, .. } => classes.fold.as_deref(),
            _ => None,
        }
    }

}

/// Refuses a model whose output the task has no use for.
fn check_head(output: &Output, info: &EngineInfo, task: Task) -> Result<(), PipelineError> {
    let has_head = info.output == OutputKind::Logits;
    let reason = match task {
        Task::Similarity if has_head => "the model has a classification head and no embeddings",
        Task::Similarity => return Ok(()),
        _ if !has_head => "the model has no classification head, which the task needs",
        Task::Regression | Task::Reranking if output.rows > 0 && output.cols != 1 => {
            "the model's head has several labels, where the task needs one score"
        }
        _ => return Ok(()),
    };
    Err(PipelineError::Usage(reason.to_owned()))
}

/// A figure of a choice of rows, given by their places; `None` where it is undefined.
pub(super) type Figure<'a> = Box<dyn Fn(&[usize]) -> Option<f64> + 'a>;

/// The figure `metric` of the rows; `None` when answers and references are of kinds that it does not
/// compare.
pub(super) fn figure<'a>(
    metric: Metric,
    answers: &'a Answers,
    references: &'a References,
) -> Option<Figure<'a>> {
    let pick = |values: &[f64], rows: &[usize]| -> Vec<f64> {
        rows.iter().map(|row| values[*row]).collect()
    };
    Some(match (metric, answers, references) {
        (Metric::Accuracy, Answers::Labels { .. }, References::Labels(_)) => {
            let right = right(answers, references);
            Box::new(move |rows| {
                let count = rows.iter().filter(|row| right[**row]).count();
                (!rows.is_empty()).then(|| count as f64 / rows.len() as f64)
            })
        }
        (Metric::MicroF1, Answers::Sets(answers), References::Sets(references)) => {
            let pairs = answers.iter().zip(references);
            let hits: Vec<Hits> = pairs.map(|(a, r)| Hits::count(a, r)).collect();
            Box::new(move |rows| micro_f1(rows.iter().map(|row| hits[*row])))
        }
        (Metric::AveragePrecision, Answers::Scores(answers), References::Scores(references)) => {
            Box::new(move |rows| {
                let relevant: Vec<bool> = rows.iter().map(|row| references[*row] > 0.0).collect();
                average_precision(&pick(answers, rows), &relevant)
            })
        }
        (Metric::Pearson, Answers::Scores(answers), References::Scores(references)) => {
            Box::new(move |rows| pearson(&pick(answers, rows), &pick(references, rows)))
        }
        (Metric::Spearman, Answers::Scores(answers), References::Scores(references)) => {
            Box::new(move |rows| spearman(&pick(answers, rows), &pick(references, rows)))
        }
        _ => return None,
    })
}

/// Which rows are right, `[rows]`; empty when answers and references are of two kinds.
pub(super) fn right(answers: &Answers, references: &References) -> Vec<bool> {
    let (Answers::Labels { classes, rows }, References::Labels(references)) = (answers, references)
    else {
        return Vec::new();
    };
    let pairs = rows.iter().zip(references);
    pairs.map(|(class, label)| *class == Some(classes.of_data[*label])).collect()
}

/// The task's figures of all rows, the primary one first.
///
/// # Errors
/// When one is undefined.
pub(in crate::exec) fn figures(
    task: Task,
    answers: &Answers,
    references: &References,
) -> Result<Vec<(Metric, f64)>, PipelineError> {
    let all: Vec<usize> = (0..references.count()).collect();
    let one = |metric: &Metric| {
        let figure = figure(*metric, answers, references).and_then(|figure| figure(&all));
        let undefined = || {
            let name = metric.name();
            PipelineError::Measure(format!("`{name}` is undefined: all values are equal"))
        };
        figure.map(|figure| (*metric, figure)).ok_or_else(undefined)
    };
    task.metrics().iter().map(one).collect()
}
