//! Where a cell's figures come from: everything that a reader needs to repeat it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exec::environment::Environment;
use crate::exec::measure::Scenario;
use crate::exec::measure::checks::TimingChecks;

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
    /// The machine before, after and during the measurement, as far as it can be read.
    pub(crate) environment: Environment,
    /// Whether the times may be judged.
    pub(crate) timing_checks: TimingChecks,
    /// The version of this program.
    pub(crate) mlxq_version: String,
}

impl Provenance {
    /// The processor's name, by which machines are told apart.
    pub(crate) fn machine_name(&self) -> Option<&str> {
        self.environment.machine.cpu.as_deref()
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
    /// `single-stream`, one query after the other; `offline`, all at once in batches; or `server`, queries
    /// that arrive at random.
    pub(crate) scenario: String,
    /// Queries of a batch, in the scenario `offline`.
    pub(crate) batch_size: Option<usize>,
    /// Queries per second on average, in the scenario `server`.
    pub(crate) rate_per_second: Option<f64>,
    /// Seed of their arrival times, which are the same for all engines.
    pub(crate) arrival_seed: Option<u64>,
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

impl ProtocolReport {
    /// The scenario and its settings, in words.
    pub(crate) fn words(&self) -> String {
        match (self.batch_size, self.rate_per_second) {
            (Some(batch), _) => Scenario::Offline { batch_size: batch }.words(),
            (None, Some(rate)) => Scenario::Server { rate }.words(),
            (None, None) => self.scenario.clone(),
        }
    }
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
