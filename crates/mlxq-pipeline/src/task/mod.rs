//! Tasks: what a model is asked to do with the rows of a data set.
//!
//! A task is one file here and one line in [`ALL`]. It says which column the rows are scored against,
//! which texts an engine gets, what its outputs mean, and which figures come of that. What happens
//! between (tokens, engines, times, gates) knows no task.

mod answers;
mod classification;
mod multi_label;
mod regression;
mod reranking;
mod similarity;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use mlxq_engine::{EngineInfo, Output, OutputKind};
use mlxq_eval::data::Dataset;
use mlxq_eval::metric::Metric;

pub(crate) use answers::{Answers, Labelled, Ranking, References};

use crate::PipelineError;
use crate::record::SampleId;

/// Every task.
const ALL: [&dyn Rules; 5] = [
    &similarity::Similarity,
    &classification::Classification,
    &multi_label::MultiLabel,
    &regression::Regression,
    &reranking::Reranking,
];

/// What a task is. It keeps nothing itself: all that it needs stands in the [`Material`].
pub(crate) trait Rules: Sync {
    /// Its names in configurations; the first is the one that records use.
    fn names(&self) -> &'static [&'static str];

    /// The figures it is measured by; the first is the primary one, which the accuracy gate judges.
    fn metrics(&self) -> &'static [Metric];

    /// What each query should be answered with.
    ///
    /// # Errors
    /// When the data has not the column that the task needs.
    fn references(&self, material: &Material) -> Result<References, PipelineError>;

    /// The texts that engines get.
    ///
    /// # Errors
    /// When the data has not the texts that the task needs.
    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError>;

    /// What an engine's outputs to these texts say. All numbers are finite.
    ///
    /// # Errors
    /// When the model has not the head that the task needs, or its labels do not fit the data's.
    fn answers(
        &self,
        material: &Material,
        output: &Output,
        info: &EngineInfo,
    ) -> Result<Answers, PipelineError>;
}

/// A task by one of its names.
#[derive(Clone, Copy)]
pub struct Task(&'static dyn Rules);

impl Task {
    /// The task called `name`.
    ///
    /// # Errors
    /// With the known names when there is none.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let found = ALL.iter().find(|rules| rules.names().contains(&name));
        found.map(|rules| Self(*rules)).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().flat_map(|rules| rules.names()).copied().collect();
            format!("task `{name}` is not supported; supported are {}", names.join(", "))
        })
    }

    /// The name that records use.
    pub fn name(self) -> &'static str {
        self.0.names()[0]
    }

    /// The figures it is measured by, the primary one first.
    pub fn metrics(self) -> &'static [Metric] {
        self.0.metrics()
    }

    /// The first of [`Self::metrics`].
    pub fn primary_metric(self) -> Metric {
        self.metrics()[0]
    }

    /// Its rules.
    pub(crate) fn rules(self) -> &'static dyn Rules {
        self.0
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

/// What a task works on.
pub(crate) struct Material {
    /// The rows.
    pub(crate) data: Dataset,
    /// The data's label → the model's label.
    pub(crate) label_map: BTreeMap<String, String>,
}

/// One row of an engine's batch: a text, or a text and its pair.
pub(crate) type TextRow<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// A query as people see it.
pub(crate) struct Query<'a> {
    pub(crate) id: SampleId,
    pub(crate) text: &'a str,
    pub(crate) text_pair: Option<&'a str>,
}

/// The texts that engines get, in the order of their outputs.
pub(crate) struct Questions<'a> {
    /// Rows of one query: they go through an engine together when times are taken.
    pub(crate) rows_per_query: usize,
    /// All rows, whole queries.
    pub(crate) rows: Vec<TextRow<'a>>,
}

impl Material {
    /// What each query is called, and its texts, for people.
    pub(crate) fn queries(&self) -> Vec<Query<'_>> {
        let rows = self.data.rows.iter();
        rows.map(|row| Query {
            id: SampleId::Row(row.id),
            text: &row.text,
            text_pair: row.text_pair.as_deref(),
        })
        .collect()
    }

    /// Every row, alone or with its second text.
    fn rows(&self) -> Questions<'_> {
        let rows = self.data.rows.iter();
        let rows =
            rows.map(|row| (row.text.as_str().into(), row.text_pair.as_deref().map(Cow::from)));
        Questions { rows_per_query: 1, rows: rows.collect() }
    }

    /// Both texts of each row, for the task `name`.
    fn pairs(&self, name: &str) -> Result<Vec<[&str; 2]>, PipelineError> {
        let rows = self.data.rows.iter();
        let pairs = rows.map(|row| Some([row.text.as_str(), row.text_pair.as_deref()?]));
        pairs.collect::<Option<_>>().ok_or_else(|| {
            PipelineError::Usage(format!("task `{name}` needs the column `text_pair`"))
        })
    }
}

/// Refuses a model that gives no embeddings.
fn needs_embeddings(info: &EngineInfo) -> Result<(), PipelineError> {
    match info.output {
        OutputKind::Embedding => Ok(()),
        OutputKind::Logits => {
            let reason = "the model has a classification head and no embeddings";
            Err(PipelineError::Usage(reason.to_owned()))
        }
    }
}

/// Refuses a model without a classification head.
fn needs_head(info: &EngineInfo) -> Result<(), PipelineError> {
    match info.output {
        OutputKind::Logits => Ok(()),
        OutputKind::Embedding => {
            let reason = "the model has no classification head, which the task needs";
            Err(PipelineError::Usage(reason.to_owned()))
        }
    }
}

/// The one logit of each row.
fn single_logits(output: &Output, info: &EngineInfo) -> Result<Vec<f64>, PipelineError> {
    needs_head(info)?;
    if output.rows > 0 && output.cols != 1 {
        let reason = "the model's head has several labels, where the task needs one score";
        return Err(PipelineError::Usage(reason.to_owned()));
    }
    Ok(output.data.iter().map(|logit| f64::from(*logit)).collect())
}
