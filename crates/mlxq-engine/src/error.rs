//! What can go wrong in an engine.

use std::path::PathBuf;

/// An engine's error; every variant names the place.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] mlxq_checkpoint::CheckpointError),
    /// The model cannot be built from it.
    #[error(transparent)]
    Model(#[from] mlxq_models::ModelError),
    /// The tokenizer's files are missing or wrong.
    #[error("`{path}`: {reason}", path = .path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A row that the model cannot take.
    #[error("row {row}: {reason}")]
    Row {
        /// 0-based row of the batch.
        row: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A worker process failed.
    #[error("the {engine} worker {reason}")]
    Worker {
        /// Which worker.
        engine: String,
        /// What happened, with the last lines it wrote to stderr.
        reason: String,
    },
    /// The engine is not on this machine.
    #[error("the {engine} engine is not available: {reason}")]
    Missing {
        /// Which engine.
        engine: String,
        /// Why it is missing.
        reason: String,
    },
}
