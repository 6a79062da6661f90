//! Data sets as configured: what is read, where it lies, what is asked of it.

mod entry;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mlxq_eval::data::{CollectionSpec, FileSpec, Sampling, TextColumns};

use super::Place;
use crate::PipelineError;

pub(super) use entry::Entry;
/// The data sets that every configuration has, built in.
pub(super) const PRESETS: &str = include_str!("../../../../../config/datasets.yaml");

/// The split that is read where none is asked for and there are several.
const SPLIT: &str = "validation";

/// One data set.
#[derive(Debug, Clone)]
pub struct DatasetConfig {
    /// Its key.
    pub key: String,
    /// Where its rows are.
    pub source: DatasetSource,
    /// What they look like there. The paths in it stand for nothing yet.
    pub form: DatasetForm,
    /// The split that is read; `None`: `validation`, or the only one.
    pub split: Option<String>,
    /// Another split, on which a threshold is found.
    pub threshold_split: Option<String>,
    /// The names of figures as written, the first the judged one; empty: the task's own.
    pub metrics: Vec<String>,
    /// For zero-shot classification: the data's label → the words that stand for it in a hypothesis.
    pub candidates: BTreeMap<String, String>,
    /// For zero-shot classification: the hypothesis, with `{}` for these words.
    pub template: Option<String>,
    /// The longest row in tokens, if it is set.
    pub max_length: Option<usize>,
    /// Where the hashes of data sets are kept: beside the first configuration file.
    pub lock: Option<PathBuf>,
    /// File and line that name it.
    pub place: Place,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetSource {
    /// A file on this machine, or the folder of a collection.
    Local(PathBuf),
    /// Files on this machine, by split.
    Splits(BTreeMap<String, PathBuf>),
    /// A data set of the Hub.
    Hub {
        /// The repository, `owner/name`.
        name: String,
        /// Its configuration, if it has several.
        subset: Option<String>,
        /// What the Hub calls a split, where that is another word.
        splits: BTreeMap<String, String>,
        /// A folder of repositories.
        mirror: Option<PathBuf>,
    },
}

/// What is read of the files.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetForm {
    /// Rows with a target.
    Rows(Box<FileSpec>),
    /// Documents, queries and judgements.
    Collection {
        /// The columns of a document's text.
        text: TextColumns,
        /// At most this many queries.
        max_samples: Option<usize>,
        /// Which queries these are.
        sampling: Sampling,
    },
}

/// Files on this machine and how to read them.
#[derive(Debug, Clone, PartialEq)]
pub enum DatasetFiles {
    /// Rows with a target.
    Rows(Box<FileSpec>),
    /// Documents, queries and judgements.
    Collection(CollectionSpec),
}

impl DatasetConfig {
    /// The files of `split`, or of the one that is read by default; `cache` is the Hub's on this machine.
    ///
    /// # Errors
    /// When there is no such split, or the Hub's files are not on this machine.
    pub fn files(
        &self,
        split: Option<&str>,
        cache: Option<&Path>,
    ) -> Result<DatasetFiles, PipelineError> {
        let asked = split.or(self.split.as_deref());
        let refuse = |reason: String| PipelineError::Config {
            file: self.place.file.clone(),
            line: Some(self.place.line),
            reason: format!("data set `{}`: {reason}", self.key),
        };
        match (&self.source, &self.form) {
            (DatasetSource::Local(path), DatasetForm::Rows(spec)) => match asked {
                None => Ok(rows(spec, vec![path.clone()])),
                Some(split) => Err(refuse(format!("split `{split}` needs `splits`"))),
            },
            (DatasetSource::Local(folder), DatasetForm::Collection { .. }) => {
                Ok(self.collection(CollectionSpec::in_folder(folder, asked)?))
            }
            (DatasetSource::Splits(splits), DatasetForm::Rows(spec)) => {
                let path = split_of(splits, asked).map_err(refuse)?;
                Ok(rows(spec, vec![path.clone()]))
            }
            (DatasetSource::Splits(_), DatasetForm::Collection { .. }) => {
                Err(refuse("a collection lies in a folder: `path`".to_owned()))
            }
            (DatasetSource::Hub { name, subset, splits, mirror }, form) => {
                let root = mlxq_hub::dataset_folder(name, mirror.as_deref(), cache)?;
                let split = asked.unwrap_or(SPLIT);
                let split = splits.get(split).map_or(split, String::as_str);
                match form {
                    DatasetForm::Rows(spec) => {
                        let folders = match subset.as_deref() {
                            Some(subset) => vec![subset],
                            None => vec![".", "data", "default", "plain_text"],
                        };
                        Ok(rows(spec, mlxq_hub::split_files(&root, &folders, split)?))
                    }
                    DatasetForm::Collection { .. } => self.hub_collection(&root, split),
                }
            }
        }
    }

    /// The collection in a repository, whose three parts are three-file JSON lines or Parquet.
    fn hub_collection(&self, root: &Path, split: &str) -> Result<DatasetFiles, PipelineError> {
        if let Ok(spec) = CollectionSpec::in_folder(root, Some(split)) {
            return Ok(self.collection(spec));
        }
        let find = |folders: &[&str], split: &str| mlxq_hub::split_files(root, folders, split);
        let folders = ["qrels", "default", "data", "."];
        Ok(self.collection(CollectionSpec {
            documents: find(&[".", "corpus"], "corpus")?,
            queries: find(&[".", "queries"], "queries")?,
            judgements: find(&folders, split)?,
            text: CollectionSpec::default_text(),
            max_samples: None,
            sampling: Sampling::default(),
        }))
    }

    fn collection(&self, found: CollectionSpec) -> DatasetFiles {
        DatasetFiles::Collection(match &self.form {
            DatasetForm::Rows(_) => found,
            DatasetForm::Collection { text, max_samples, sampling } => CollectionSpec {
                text: text.clone(),
                max_samples: *max_samples,
                sampling: *sampling,
                ..found
            },
        })
    }
}

impl DatasetFiles {
    /// At most `count` rows or queries, if that is fewer than what is configured; drawn at random with
    /// `seed`, if there is one, whatever is configured.
    #[must_use]
    pub fn limited(mut self, count: Option<usize>, seed: Option<u64>) -> Self {
        let (max_samples, sampling) = match &mut self {
            Self::Rows(spec) => (&mut spec.max_samples, &mut spec.sampling),
            Self::Collection(spec) => (&mut spec.max_samples, &mut spec.sampling),
        };
        *max_samples = [*max_samples, count].into_iter().flatten().min();
        if let Some(seed) = seed {
            *sampling = Sampling::Random { seed };
        }
        self
    }
}

fn rows(spec: &FileSpec, paths: Vec<PathBuf>) -> DatasetFiles {
    let mut paths = paths.into_iter();
    DatasetFiles::Rows(Box::new(FileSpec {
        path: paths.next().unwrap_or_default(),
        further: paths.collect(),
        ..spec.clone()
    }))
}

/// The one asked for, else `validation`, else the only one.
fn split_of<'s>(
    splits: &'s BTreeMap<String, PathBuf>,
    asked: Option<&str>,
) -> Result<&'s PathBuf, String> {
    let found = match asked {
        Some(split) => splits.get(split),
        None => splits.get(SPLIT).or(splits.values().next().filter(|_| splits.len() == 1)),
    };
    found.ok_or_else(|| {
        let known: Vec<_> = splits.keys().map(|split| format!("`{split}`")).collect();
        let known = known.join(", ");
        match asked {
            Some(split) => {
                format!("there is no split `{}`; there are {known}", split.escape_debug())
            }
            None => format!("say which `split` is read; there are {known}"),
        }
    })
}
