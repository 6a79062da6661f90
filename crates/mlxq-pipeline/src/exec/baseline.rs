//! What PyTorch gave before, kept by content.
//!
//! Predictions and times of one run are kept under a hash of everything they depend on. They are used
//! only when asked for, and their times are marked wherever they show.

use std::path::Path;

use mlxq_engine::{Batch, torch, worker};

use super::run::Run;
use crate::record::write_json;
use crate::{PipelineError, Places};

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

/// The run kept under `key`, marked as cached, if there is one that can be read.
pub(super) fn find(places: &Places, key: &str) -> Option<Run> {
    let text = std::fs::read_to_string(places.baseline(key)).ok()?;
    let run: Run = serde_json::from_str(&text).ok()?;
    let whole = run.output.data.len() == run.output.rows.checked_mul(run.output.cols)?;
    whole.then_some(Run { cached: true, ..run })
}

/// Keeps a run.
///
/// # Errors
/// When the disk refuses.
pub(super) fn keep(places: &Places, key: &str, run: &Run) -> Result<(), PipelineError> {
    let path = places.baseline(key);
    let value = serde_json::to_value(run)
        .map_err(|error| PipelineError::io(Path::new(&path))(error.into()))?;
    write_json(&path, &value)
}
