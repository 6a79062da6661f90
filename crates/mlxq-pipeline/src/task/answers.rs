//! What engines answered, and what they should have.

use mlxq_eval::data::{Dataset, Row, Target};
use mlxq_eval::labels::Classes;
use serde_json::{Value, json};

use crate::PipelineError;

/// What one engine answered to every query.
pub(crate) enum Answers {
    /// A cosine of each pair, or a logit of each row. Those from `threshold` on say yes, where there is
    /// one.
    Scores { scores: Vec<f64>, threshold: Option<f64> },
    /// A label of each row.
    Labels(Labelled),
    /// The data labels of each row whose logits are positive.
    Sets(Vec<Vec<usize>>),
    /// A ranking of documents for each query.
    Rankings(Vec<Ranking>),
}

/// A label of each row, among those that the model can say.
pub(crate) struct Labelled {
    /// Where the labels of data and model stand among the classes scored.
    pub(crate) classes: Classes,
    /// Names of the labels that the model can say.
    pub(crate) names: Vec<String>,
    /// What it says of each row: a place in `names`.
    pub(crate) said: Vec<usize>,
    /// The score of each name, row by row; empty where the logits are these.
    pub(crate) scores: Vec<Vec<f32>>,
}

impl Labelled {
    /// The class of a row; `None` for a label that the data does not have.
    pub(crate) fn class(&self, row: usize) -> Option<usize> {
        self.classes.of_model.get(self.said[row]).copied().flatten()
    }

    /// Number of classes.
    pub(crate) fn count(&self) -> usize {
        self.classes.of_data.iter().max().map_or(0, |last| last + 1)
    }
}

/// The best documents for one query.
pub(crate) struct Ranking {
    /// How relevant each is, best ranked first; 0 where nobody has judged it.
    pub(crate) gains: Vec<f64>,
    /// Names of the first ten.
    pub(crate) first: Vec<String>,
}

/// What each query should be answered with.
pub(crate) enum References {
    /// A graded score.
    Scores(Vec<f64>),
    /// A data label.
    Labels(Vec<usize>),
    /// Any number of data labels.
    Sets(Vec<Vec<usize>>),
    /// How relevant the documents are that are relevant at all.
    Judged(Vec<Vec<f64>>),
}

impl References {
    /// The scores of the rows, for the task `name`.
    ///
    /// # Errors
    /// When the data has no scores.
    pub(super) fn scores(data: &Dataset, name: &str) -> Result<Self, PipelineError> {
        let score = |row: &Row| match row.target {
            Target::Score(score) => Some(score),
            _ => None,
        };
        let scores = data.rows.iter().map(score).collect::<Option<_>>();
        scores.map(Self::Scores).ok_or_else(|| missing(name, "score"))
    }

    /// The labels of the rows, for the task `name`.
    ///
    /// # Errors
    /// When the data has no labels, or several in a row.
    pub(super) fn labels(data: &Dataset, name: &str) -> Result<Self, PipelineError> {
        let label = |row: &Row| match row.target {
            Target::Label(label) => Some(label),
            _ => None,
        };
        let labels = data.rows.iter().map(label).collect::<Option<_>>();
        labels.map(Self::Labels).ok_or_else(|| missing(name, "label"))
    }

    /// The sets of labels of the rows, for the task `name`.
    ///
    /// # Errors
    /// When the data has no sets of labels.
    pub(super) fn sets(data: &Dataset, name: &str) -> Result<Self, PipelineError> {
        let labels = |row: &Row| match &row.target {
            Target::Labels(labels) => Some(labels.clone()),
            _ => None,
        };
        let sets = data.rows.iter().map(labels).collect::<Option<_>>();
        sets.map(Self::Sets).ok_or_else(|| missing(name, "labels"))
    }

    /// Number of queries.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Scores(scores) => scores.len(),
            Self::Labels(labels) => labels.len(),
            Self::Sets(sets) => sets.len(),
            Self::Judged(queries) => queries.len(),
        }
    }

    /// The first hundred, for the record.
    pub(crate) fn first(&self) -> Vec<Value> {
        match self {
            Self::Scores(scores) => scores.iter().take(100).map(|x| json!(x)).collect(),
            Self::Labels(labels) => labels.iter().take(100).map(|x| json!(x)).collect(),
            Self::Sets(sets) => sets.iter().take(100).map(|x| json!(x)).collect(),
            Self::Judged(queries) => queries.iter().take(100).map(|x| json!(x)).collect(),
        }
    }

    /// What is right for a row, with labels by the names in `labels`.
    pub(crate) fn gold(&self, row: usize, labels: &[String]) -> Value {
        match self {
            Self::Scores(scores) => json!(scores[row]),
            Self::Labels(rows) => json!(labels[rows[row]]),
            Self::Sets(rows) => rows[row].iter().map(|label| labels[*label].as_str()).collect(),
            Self::Judged(queries) => json!(queries[row]),
        }
    }
}

fn missing(task: &str, column: &str) -> PipelineError {
    PipelineError::Usage(format!("task `{task}` needs a data set with the column `{column}`"))
}

/// The same numbers in f64.
pub(crate) fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().copied().map(f64::from).collect()
}

impl Answers {
    /// Scores that decide nothing by themselves.
    pub(super) fn scores(scores: Vec<f64>) -> Self {
        Self::Scores { scores, threshold: None }
    }

    /// How labels were put together, in words, if they were.
    pub(crate) fn fold(&self) -> Option<&str> {
        match self {
            Self::Labels(labelled) => labelled.classes.fold.as_deref(),
            _ => None,
        }
    }

    /// The first hundred, for the record: cosines or logits, classes, labels, documents.
    pub(crate) fn first(&self) -> Vec<Value> {
        match self {
            Self::Scores { scores, .. } => scores.iter().take(100).map(|x| json!(x)).collect(),
            Self::Labels(labelled) => {
                let rows = 0..labelled.said.len().min(100);
                rows.map(|row| json!(labelled.class(row))).collect()
            }
            Self::Sets(sets) => sets.iter().take(100).map(|x| json!(x)).collect(),
            Self::Rankings(rankings) => {
                rankings.iter().take(100).map(|ranking| json!(ranking.first)).collect()
            }
        }
    }

    /// The numbers behind the answer to a row; `None` where they are the engine's output.
    pub(crate) fn numbers(&self, row: usize) -> Option<Vec<f64>> {
        match self {
            Self::Scores { scores, .. } => Some(vec![scores[row]]),
            Self::Labels(labelled) => labelled.scores.get(row).map(|scores| wide(scores)),
            Self::Sets(_) => None,
            Self::Rankings(rankings) => Some(rankings[row].gains.clone()),
        }
    }

    /// The answer to a row, with labels by their names, those of the data in `labels`.
    pub(crate) fn said(&self, row: usize, labels: &[String]) -> Value {
        match self {
            Self::Scores { scores, threshold: None } => json!(scores[row]),
            Self::Scores { scores, threshold: Some(threshold) } => json!(scores[row] >= *threshold),
            Self::Labels(labelled) => json!(labelled.names[labelled.said[row]]),
            Self::Sets(rows) => rows[row].iter().map(|label| labels[*label].as_str()).collect(),
            Self::Rankings(rankings) => json!(rankings[row].first),
        }
    }
}
