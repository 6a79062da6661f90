//! Where a cell's figures come from: everything that a reader needs to repeat it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Task, data, tokens, protocol, checkpoints and machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Provenance {
    /// The task.
    pub(crate) task: String,
    /// The figure that the accuracy gate judges.
    pub(crate) primary_metric: String,
    /// The rows.
    pub(crate) dataset: DatasetReport,
    /// The rows as tokens.
    pub(crate) tokens: TokensReport,
    /// How times were taken.
    pub(crate) protocol: ProtocolReport,
    /// The original checkpoint.
    pub(crate) original: FolderReport,
    /// The converted folder.
    pub(crate) converted: FolderReport,
    /// The machine, as far as it can be read.
    pub(crate) machine: Value,
    /// The version of this program.
    pub(crate) mlxq_version: String,
}

impl Provenance {
    /// The processor's name, by which machines are told apart.
    pub(crate) fn machine_name(&self) -> Option<&str> {
        self.machine.get("cpu").and_then(Value::as_str)
    }
}

/// The rows of a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct DatasetReport {
    /// The file.
    pub(crate) path: PathBuf,
    /// SHA-256 of that file, in hexadecimal.
    pub(crate) sha256: String,
    /// BLAKE3 of the content of all files, in hexadecimal: the data's identity.
    pub(crate) blake3: String,
    /// Rows in the file, usable or not.
    pub(crate) rows_in_file: usize,
    /// Rows used.
    pub(crate) rows_used: usize,
    /// The used rows of the file, counted from 0, in order.
    pub(crate) row_ids: Vec<usize>,
    /// Why rows were not used → how many.
    pub(crate) skipped: BTreeMap<String, usize>,
    /// Label names in id order; empty for scores.
    pub(crate) labels: Vec<String>,
    /// The data's label text → the model's label name, as configured.
    pub(crate) label_map: BTreeMap<String, String>,
}

/// The rows as tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TokensReport {
    /// Token rows of one query.
    pub(crate) rows_per_query: usize,
    /// All tokens.
    pub(crate) total: usize,
    /// Texts that were cut.
    pub(crate) truncated_rows: usize,
    /// The longest row, and what decided it.
    pub(crate) max_length: LongestRow,
    /// Seconds that making them took.
    pub(crate) tokenizing_seconds: f64,
    /// Who tokenized, in words.
    pub(crate) tokenizing: String,
}

/// The longest row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LongestRow {
    /// Tokens.
    pub(crate) tokens: usize,
    /// The file or setting that decided it.
    pub(crate) decided_by: String,
}

/// How times were taken, and differences resampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ProtocolReport {
    /// `single-stream`: one query after the other.
    pub(crate) scenario: String,
    /// Rounds: blocks of each engine.
    pub(crate) rounds: usize,
    /// Seconds that a block of the fastest engine lasts at least.
    pub(crate) block_seconds: f64,
    /// The order of blocks, in words.
    pub(crate) order: String,
    /// Resamples of the paired bootstrap.
    pub(crate) bootstrap_resamples: usize,
    /// Its seed.
    pub(crate) seed: u64,
}

/// A model's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct FolderReport {
    /// Where it lay.
    pub(crate) path: PathBuf,
    /// BLAKE3 of the files that decide what it predicts, in hexadecimal.
    pub(crate) blake3: String,
}

/// How far two engines' outputs for the same checkpoint are apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Agreement {
    /// Token rows compared.
    pub(crate) rows: usize,
    /// The smallest cosine of a row.
    pub(crate) smallest_cosine: Option<f64>,
    /// The largest difference of a number.
    pub(crate) largest_difference: f64,
    /// That by the largest number.
    pub(crate) relative_difference: Option<f64>,
}
