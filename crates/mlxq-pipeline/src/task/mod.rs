//! Tasks: what a model is asked to do with the rows of a data set.
//!
//! A task is one file here and one line in [`ALL`]. It says which column the rows are scored against,
//! which texts an engine gets, what its outputs mean, and which figures come of that. What happens
//! between (tokens, engines, times, gates) knows no task.

mod answers;
mod classification;
mod multi_label;
mod nli;
mod paraphrase;
mod regression;
mod reranked;
mod reranking;
mod retrieval;
mod similarity;
mod untested;
mod zero_shot;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use mlxq_engine::{EngineInfo, Output, OutputKind, Truncation};
use mlxq_eval::data::{self, Collection, Dataset};
use mlxq_eval::metric::Metric;
use serde_json::Value;

pub(crate) use answers::{Answers, Labelled, Ranking, References, wide};

use crate::PipelineError;
use crate::record::SampleId;

/// Every task.
const ALL: [&dyn Rules; 12] = [
    &similarity::Similarity,
    &paraphrase::Paraphrase,
    &classification::Classification,
    &multi_label::MultiLabel,
    &nli::Nli,
    &zero_shot::ZeroShot,
    &regression::Regression,
    &reranking::Reranking,
    &reranked::Reranked,
    &retrieval::Retrieval,
    &untested::Untested(&["token-classification", "ner", "named-entity-recognition"]),
    &untested::Untested(&["text-generation", "causal-lm", "causal-language-modeling", "llm"]),
];

/// What a task is. It keeps nothing itself: all that it needs stands in the [`Material`].
pub(crate) trait Rules: Sync {
    /// Its names in configurations; the first is the one that records use.
    fn names(&self) -> &'static [&'static str];

    /// The figures it is measured by; the first is the primary one, which the accuracy gate judges.
    fn metrics(&self) -> &'static [Metric];

    /// Figures that a data set may ask for beside these.
    fn also(&self) -> &'static [Metric] {
        &[]
    }

    /// The task that this one comes to on such data, if that is another.
    fn instead(&self, _: &Material) -> Option<&'static dyn Rules> {
        None
    }

    /// What a record should say of how the model was asked.
    ///
    /// # Errors
    /// When it cannot be asked.
    fn notes(&self, _: &Material) -> Result<Vec<(&'static str, Value)>, PipelineError> {
        Ok(Vec::new())
    }

    /// What each query should be answered with.
    ///
    /// # Errors
    /// When the data has not the column that the task needs.
    fn references(&self, material: &Material) -> Result<References, PipelineError>;

    /// The texts that engines get: every row as it is, unless the task says otherwise.
    ///
    /// # Errors
    /// When the data has not the texts that the task needs.
    fn questions<'a>(&self, material: &'a Material) -> Result<Questions<'a>, PipelineError> {
        Ok(material.rows())
    }

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

    /// The task that this one comes to on such data.
    pub(crate) fn on(self, material: &Material) -> Self {
        self.0.instead(material).map_or(self, Self)
    }

    /// The figures that it is measured by, the primary one first: those that the data set asks for and the
    /// task has, then the task's own. Beside them the names of those that it has not.
    ///
    /// # Errors
    /// When the data set asks for what is no figure at all.
    pub(crate) fn metrics(self, asked: &[String]) -> Result<(Vec<Metric>, Vec<&str>), String> {
        let (own, also) = (self.0.metrics(), self.0.also());
        let (mut metrics, mut missing) = (Vec::new(), Vec::new());
        for name in asked {
            let metric = Metric::from_name(name)?;
            let has = own.contains(&metric) || also.contains(&metric);
            if !has {
                missing.push(name.as_str());
            } else if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        let further: Vec<Metric> =
            own.iter().filter(|metric| !metrics.contains(metric)).copied().collect();
        metrics.extend(further);
        Ok((metrics, missing))
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
#[derive(Debug, Default)]
pub(crate) struct Material {
    /// The rows; none where there is a collection.
    pub(crate) data: Dataset,
    /// Documents and queries.
    pub(crate) collection: Option<Collection>,
    /// Rows of another split, which a threshold is fitted to.
    pub(crate) threshold_rows: Option<Dataset>,
    /// The data's label → the model's label.
    pub(crate) label_map: BTreeMap<String, String>,
    /// The data's label → the words that a model is asked with.
    pub(crate) candidates: BTreeMap<String, String>,
    /// The sentence that they are put into.
    pub(crate) template: Option<String>,
    /// The original's folder.
    pub(crate) model: PathBuf,
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
    /// The rows of all queries.
    pub(crate) rows: Vec<TextRow<'a>>,
    /// Further rows, which are answered after these and not timed.
    pub(crate) extra: Vec<TextRow<'a>>,
    /// Which text of a long pair is cut.
    pub(crate) truncation: Truncation,
}

impl<'a> Questions<'a> {
    /// Whole queries of so many rows and nothing else.
    fn of(rows_per_query: usize, rows: Vec<TextRow<'a>>) -> Self {
        let truncation = Truncation::LongestFirst;
        Self { rows_per_query, rows, extra: Vec::new(), truncation }
    }
}

impl Material {
    /// What each query is called, and its texts, for people.
    pub(crate) fn queries(&self) -> Vec<Query<'_>> {
        if let Some(collection) = &self.collection {
            let query = |query: &'_ data::Query| SampleId::Name(query.id.clone());
            return collection
                .queries
                .iter()
                .map(|it| Query { id: query(it), text: &it.text, text_pair: None })
                .collect();
        }
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
        Questions::of(1, rows.collect())
    }

    /// Both texts of each row, for the task `name`.
    fn pairs(&self, name: &str) -> Result<Vec<[&str; 2]>, PipelineError> {
        pairs_of(&self.data, name)
    }

    /// The collection, for the task `name`.
    fn collection(&self, name: &str) -> Result<&Collection, PipelineError> {
        self.collection.as_ref().ok_or_else(|| {
            PipelineError::Usage(format!("task `{name}` needs a collection of documents"))
        })
    }
}

/// Both texts of each row of `data`, for the task `name`.
fn pairs_of<'a>(data: &'a Dataset, name: &str) -> Result<Vec<[&'a str; 2]>, PipelineError> {
    let rows = data.rows.iter();
    let pairs = rows.map(|row| Some([row.text.as_str(), row.text_pair.as_deref()?]));
    pairs
        .collect::<Option<_>>()
        .ok_or_else(|| PipelineError::Usage(format!("task `{name}` needs the column `text_pair`")))
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
