//! A finished cell, kept by its key, so that a run that was killed goes on where it ended.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cell::CellReport;
use super::original::{self, FirstAnswers};
use super::report::SCHEMA_VERSION;
use super::{Comparison, Sample, write_json};
use crate::{PipelineError, Places};

/// Everything that a later run needs to record the cell as its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The version of the report's form.
    schema_version: u32,
    /// The cell.
    pub(crate) cell: CellReport,
    /// Its rows.
    pub(crate) samples: Vec<Sample>,
    /// The first answers, for the original pipeline's file.
    first: FirstAnswers,
    /// Further keys of the original pipeline's file.
    details: Map<String, Value>,
}

impl Kept {
    /// A cell that has just been measured.
    pub(crate) fn new(cell: CellReport, comparison: Comparison) -> Self {
        let first = comparison.first();
        let Comparison { samples, details, .. } = comparison;
        Self { schema_version: SCHEMA_VERSION, cell, samples, first, details }
    }

    /// The cell kept under `key`, if there is one that can be read and is whole.
    pub(crate) fn find(places: &Places, key: &str) -> Option<Self> {
        let text = std::fs::read_to_string(places.cell(key)).ok()?;
        let kept: Self = serde_json::from_str(&text).ok()?;
        let whole = kept.schema_version == SCHEMA_VERSION
            && kept.cell.key == key
            && kept.cell.sample_size == kept.samples.len();
        whole.then_some(kept)
    }

    /// Keeps the cell: it is there whole or not at all.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn keep(&self, places: &Places) -> Result<(), PipelineError> {
        write_json(&places.cell(&self.cell.key), self)
    }

    /// The content of the original pipeline's comparison file.
    pub(crate) fn original(&self) -> Value {
        original::comparison(&self.cell, &self.first, &self.details)
    }
}
