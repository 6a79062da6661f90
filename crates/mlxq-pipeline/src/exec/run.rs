//! What one engine did with the rows, and the figures that come of it.

use std::path::Path;

use mlxq_checkpoint::Checkpoint;
use mlxq_engine::worker::Worker;
use mlxq_engine::{Engine, EngineInfo, Output};
use mlxq_eval::metric::Metric;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::measure::Timing;
use crate::PipelineError;
use crate::record::{Side, SideFigures, TimingReport};

/// One engine's answers and times.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) info: EngineInfo,
    pub(super) output: Output,
    pub(super) timing: Timing,
    /// Seconds that loading took.
    pub(super) load_seconds: f64,
    /// Seconds from the process's start to the loaded model.
    pub(super) start_seconds: f64,
    /// Memory of the process before it had a model, MiB.
    pub(super) idle_memory_mb: Option<f64>,
    /// Whether all of this is from an earlier run.
    #[serde(skip)]
    pub(super) cached: bool,
}

impl Run {
    /// What `worker` has done in this run.
    pub(super) fn new(worker: &Worker, output: Output, timing: Timing) -> Self {
        Self {
            info: worker.info().clone(),
            output,
            timing,
            load_seconds: worker.load_seconds(),
            start_seconds: worker.start_seconds(),
            idle_memory_mb: worker.idle_memory_mb(),
            cached: false,
        }
    }

    /// Its figures for the record, with what its answers to the rows came to, the first of them, and
    /// the `size` of its folder.
    pub(super) fn side(
        self,
        scores: Vec<(Metric, f64)>,
        predictions: Vec<Value>,
        size: FolderSize,
    ) -> Side {
        let timing = self.timing;
        let memory_mb = timing.memory_average_mb.zip(timing.memory_peak_mb);
        let report = TimingReport {
            load: timing.load,
            timing_checks: timing.checks.clone(),
            ..TimingReport::new(timing.scenario, timing.batch_latencies_ms.clone())
        };
        let figures = SideFigures {
            scores,
            qpm: timing.qpm(),
            size_mb: size.bytes as f64 / f64::from(1 << 20),
            size_bytes: size.bytes,
            weights_bytes: size.weights,
            tokens_per_second: timing.tokens_per_second(),
            memory_mb,
            memory_split_mb: timing.memory_split_mb,
            blocks_qpm: timing.blocks.iter().map(|block| block.qpm()).collect(),
            measured_seconds: timing.seconds(),
            latencies_ms: timing.latencies_ms,
            load_seconds: (self.load_seconds, self.start_seconds),
            first_query_ms: timing.first_query_ms,
            warmup_queries: timing.warmup_queries,
            predictions,
            cached: self.cached,
            timing: report.with_memory(self.idle_memory_mb, memory_mb),
        };
        Side { info: self.info, figures }
    }
}

/// Bytes of a model folder's files and of its weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct FolderSize {
    bytes: u64,
    weights: u64,
}

impl FolderSize {
    /// Of the checkpoint or converted model in `dir`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn of(dir: &Path) -> Result<Self, PipelineError> {
        let weights = Checkpoint::open(dir)?.weight_files()?.iter().map(|(_, bytes)| bytes).sum();
        Ok(Self { bytes: bytes_under(dir)?, weights })
    }
}

fn bytes_under(dir: &Path) -> Result<u64, PipelineError> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir).map_err(PipelineError::io(dir))? {
        let path = entry.map_err(PipelineError::io(dir))?.path();
        let metadata = std::fs::metadata(&path).map_err(PipelineError::io(&path))?;
        total += if metadata.is_dir() { bytes_under(&path)? } else { metadata.len() };
    }
    Ok(total)
}
