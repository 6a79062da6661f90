//! Data sets read: rows or a collection, with what a careful user should know of them.

use std::path::Path;

use mlxq_eval::data::{Collection, Dataset, FileSpec, HashedFile, read, read_collection};

use super::lock::{self, LockError};
use super::test::TestSettings;
use crate::config::{DatasetConfig, DatasetFiles};
use crate::task::Material;
use crate::{PipelineError, Reporter};

/// What was read.
pub(super) enum Loaded {
    /// Rows with a target.
    Rows {
        /// The files, and how they are read.
        spec: Box<FileSpec>,
        /// The rows.
        data: Dataset,
    },
    /// Documents, queries and judgements.
    Collection(Collection),
}

/// Reads `dataset`: of `split`, or of the one that it names. Says what is odd about the rows, and holds
/// the files against the lock file, which is an error with `--strict` and else a warning.
///
/// # Errors
/// When the files cannot be found, read or used, or are others than the locked ones.
pub(super) fn load(
    dataset: &DatasetConfig,
    split: Option<&str>,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Loaded, PipelineError> {
    let files = dataset.files(split, settings.hub_cache.as_deref())?;
    let loaded = match files.limited(settings.max_samples, settings.seed) {
        DatasetFiles::Rows(spec) => {
            let data = read(&spec)?;
            Loaded::Rows { spec, data }
        }
        DatasetFiles::Collection(spec) => Loaded::Collection(read_collection(&spec)?),
    };
    let key = match split {
        Some(split) => format!("{}:{split}", dataset.key),
        None => dataset.key.clone(),
    };
    for warning in loaded.warnings() {
        reporter.warning(&format!("data set `{}`: {warning}", key.escape_debug()));
    }
    if let Some(path) = &dataset.lock {
        let (hash, files) = loaded.identity();
        match lock::check(path, &key, hash, files) {
            Ok(None) => {}
            Ok(Some(change)) if settings.strict => return Err(PipelineError::Measure(change)),
            Ok(Some(change)) => reporter.warning(&change),
            Err(LockError::Unusable(error)) => return Err(error),
            Err(LockError::NotKept(why)) => {
                reporter.detail(&format!("the hash of `{}` is not kept: {why}", dataset.key));
            }
        }
    }
    Ok(loaded)
}

/// What a task works on: the rows or the collection of `dataset`, and the rows of another split where a
/// threshold is found on one. `model` is the original's folder.
///
/// # Errors
/// As [`load`], and when the other split holds no rows.
pub(super) fn material(
    dataset: &DatasetConfig,
    model: &Path,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Material, PipelineError> {
    let mut material = Material {
        candidates: dataset.candidates.clone(),
        template: dataset.template.clone(),
        model: model.to_owned(),
        ..Material::default()
    };
    match load(dataset, None, settings, reporter)? {
        Loaded::Collection(collection) => material.collection = Some(collection),
        Loaded::Rows { spec, data } => {
            material.label_map = spec.label_map;
            material.data = data;
        }
    }
    if let Some(split) = &dataset.threshold_split {
        let Loaded::Rows { data, .. } = load(dataset, Some(split), settings, reporter)? else {
            let reason = format!("the split `{split}` of `{}` holds no rows", dataset.key);
            return Err(PipelineError::Usage(reason));
        };
        material.threshold_rows = Some(data);
    }
    Ok(material)
}

impl Loaded {
    fn warnings(&self) -> Vec<String> {
        match self {
            Self::Rows { data, .. } => data.warnings(),
            Self::Collection(collection) => collection.warnings(),
        }
    }

    /// The hash of all files, and each file with its own.
    fn identity(&self) -> (&str, &[HashedFile]) {
        match self {
            Self::Rows { data, .. } => (&data.hash, &data.files),
            Self::Collection(collection) => (&collection.hash, &collection.files),
        }
    }
}
