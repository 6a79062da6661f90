//! What PyTorch gave before, kept by content.
//!
//! Predictions and times of one run are kept under a hash of everything they depend on. They are used
//! only when asked for, and their times are marked wherever they show.

use std::path::Path;

use mlxq_engine::{Batch, EngineInfo, Output, torch, worker};
use serde::{Deserialize, Serialize};

use super::measure::Timing;
use crate::record::write_json;
use crate::{PipelineError, Places};

/// One run of the baseline.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Baseline {
    pub(super) info: EngineInfo,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) outputs: Vec<f32>,
    pub(super) latencies_ms: Vec<f64>,
    pub(super) blocks_qpm: Vec<f64>,
    pub(super) qpm: Option<f64>,
    pub(super) tokens_per_second: Option<(f64, f64)>,
    pub(super) memory_mb: Option<(f64, f64)>,
    pub(super) memory_split_mb: Option<(f64, f64)>,
    pub(super) measured_seconds: f64,
    pub(super) load_seconds: (f64, f64),
    pub(super) first_query_ms: f64,
    pub(super) warmup_queries: usize,
}

/// The key of a run: checkpoint, rows, settings, versions, threads and the worker's own text.
pub(super) fn key(fingerprint: &str, batch: &Batch, versions: &str, settings: &str) -> String {
    let (_, rows) = worker::protocol::rows(batch);
    let parts = [
        fingerprint.as_bytes(),
        mlxq_hub::hash_bytes(&rows).as_bytes(),
        versions.as_bytes(),
        settings.as_bytes(),
        mlxq_hub::hash_bytes(torch::script().as_bytes()).as_bytes(),
    ]
    .join(&0);
    mlxq_hub::hash_bytes(&parts)
}

/// The run kept under `key`, if there is one that can be read.
pub(super) fn find(places: &Places, key: &str) -> Option<Baseline> {
    let text = std::fs::read_to_string(places.baseline(key)).ok()?;
    let baseline: Baseline = serde_json::from_str(&text).ok()?;
    (baseline.outputs.len() == baseline.rows.checked_mul(baseline.cols)?).then_some(baseline)
}

/// Keeps a run.
///
/// # Errors
/// When the disk refuses.
pub(super) fn keep(places: &Places, key: &str, baseline: &Baseline) -> Result<(), PipelineError> {
    let path = places.baseline(key);
    let value = serde_json::to_value(baseline)
        .map_err(|error| PipelineError::io(Path::new(&path))(error.into()))?;
    write_json(&path, &value)
}

impl Baseline {
    /// What one run has given.
    pub(super) fn new(
        info: EngineInfo,
        output: &Output,
        timing: &Timing,
        load_seconds: (f64, f64),
    ) -> Self {
        Self {
            info,
            rows: output.rows,
            cols: output.cols,
            outputs: output.data.clone(),
            latencies_ms: timing.latencies_ms.clone(),
            blocks_qpm: timing.blocks.iter().map(super::measure::TimedBlock::qpm).collect(),
            qpm: timing.qpm(),
            tokens_per_second: timing.tokens_per_second(),
            memory_mb: timing.memory_average_mb.zip(timing.memory_peak_mb),
            memory_split_mb: timing.memory_split_mb,
            measured_seconds: timing.seconds(),
            load_seconds,
            first_query_ms: timing.first_query_ms,
            warmup_queries: timing.warmup_queries,
        }
    }

    /// Its outputs.
    pub(super) fn output(&self) -> Output {
        Output { rows: self.rows, cols: self.cols, data: self.outputs.clone() }
    }
}
