//! `report.json`: one run, versioned and typed. Its JSON Schema is made from these types.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::cell::CellReport;
use super::now_utc;
use crate::PipelineError;

/// The version of the form below; a reader refuses a newer one. It grows when a key goes or changes its
/// meaning, not when one is added.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Report {
    /// The version of this form.
    pub(crate) schema_version: u32,
    /// The run's id: its start, numbered where two begin in one second.
    pub(crate) run_id: String,
    /// The program.
    pub(crate) program: Program,
    /// When it began, RFC 3339 in UTC.
    pub(crate) started: String,
    /// When it ended; `null` of a run that was killed or has not ended.
    pub(crate) ended: Option<String>,
    /// What was asked for.
    pub(crate) settings: RunSettings,
    /// The cells that are finished, in order.
    pub(crate) cells: Vec<CellReport>,
    /// The cells that could not be measured.
    pub(crate) failures: Vec<FailedCell>,
    /// On which data sets models got worse, over all cells together.
    pub(crate) changes: Option<Changes>,
    /// The process's exit code; `null` as `ended`.
    pub(crate) exit_code: Option<u8>,
}

/// The program that wrote a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Program {
    /// `mlxq`.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
}

/// What the user asked of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct RunSettings {
    /// Only the model of that name.
    pub(crate) model: Option<String>,
    /// Only the data set of that key.
    pub(crate) dataset: Option<String>,
    /// Where converted models lie.
    pub(crate) output_dir: PathBuf,
    /// The versions of PyTorch and what is under it.
    pub(crate) torch: Option<String>,
    /// Why there is no PyTorch.
    pub(crate) torch_missing: Option<String>,
    /// Threads of every engine.
    pub(crate) threads: usize,
    /// What the quantized layers of converted models compute with.
    pub(crate) activations: String,
    /// At most that many rows of each data set.
    pub(crate) max_samples: Option<usize>,
    /// The seed that they were drawn with, if it was asked for on the command line.
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    /// How queries came to the engines, in words.
    pub(crate) scenario: String,
    /// Rounds of timed blocks.
    pub(crate) rounds: usize,
    /// Seconds that a block of the fastest engine lasts at least.
    pub(crate) block_seconds: f64,
    /// Whether kept predictions and times of PyTorch were asked for.
    pub(crate) reuse_baseline: bool,
    /// Whether models were held against themselves, in place of a baseline.
    #[serde(default)]
    pub(crate) against_itself: bool,
    /// Whether finished cells were measured again.
    pub(crate) fresh: bool,
    /// Whether inconclusive counts as failed.
    pub(crate) strict: bool,
}

/// A cell that could not be measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FailedCell {
    /// The model's name.
    pub(crate) model: String,
    /// The data set's key.
    pub(crate) dataset_key: String,
    /// What went wrong.
    pub(crate) error: String,
}

/// Exact McNemar tests of all cells that have right and wrong answers, with Holm's correction: for asking
/// on which data set a model got worse, not for gates, each of which must pass alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Changes {
    /// The test and the correction, in words.
    pub(crate) method: String,
    /// The cells.
    pub(crate) cells: Vec<Change>,
}

/// One cell's change from the baseline to the converted model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Change {
    /// The cell's id.
    pub(crate) cell: String,
    /// Rows that only the baseline has right.
    pub(crate) lost: usize,
    /// Rows that only the converted model has right.
    pub(crate) gained: usize,
    /// One-sided p of McNemar's exact test.
    pub(crate) p: f64,
    /// The same after Holm's correction over all cells.
    pub(crate) p_holm: f64,
}

impl Report {
    /// A run that begins now.
    pub(crate) fn begin(run_id: String, settings: RunSettings) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            run_id,
            program: Program {
                name: "mlxq".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            started: now_utc(),
            ended: None,
            settings,
            cells: Vec::new(),
            failures: Vec::new(),
            changes: None,
            exit_code: None,
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// When there is none, it is not one, or a newer program wrote it.
    pub(crate) fn read(path: &Path) -> Result<Self, PipelineError> {
        let text = std::fs::read_to_string(path).map_err(PipelineError::io(path))?;
        let wrong =
            |why: String| PipelineError::Record { path: path.to_owned(), line: None, reason: why };
        let value: Value = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        match value.get("schema_version").and_then(Value::as_u64) {
            Some(version) if version == u64::from(SCHEMA_VERSION) => {}
            Some(version) => {
                return Err(wrong(format!(
                    "it is a report of version {version}; this program reads {SCHEMA_VERSION}"
                )));
            }
            None => return Err(wrong("it has no `schema_version`: not a report of mlxq".into())),
        }
        serde_json::from_value(value).map_err(|error| wrong(error.to_string()))
    }
}

/// The JSON Schemas of a comparison of two runs, of a report and of a line of `samples.jsonl`, by their
/// file names.
pub fn schemas() -> [(&'static str, Value); 3] {
    [
        ("compare.schema.json", schemars::schema_for!(super::Compared).to_value()),
        ("report.schema.json", schemars::schema_for!(Report).to_value()),
        ("sample.schema.json", schemars::schema_for!(super::samples::SampleLine).to_value()),
    ]
}
