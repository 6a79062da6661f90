//! What a measurement needs of an engine's process.

use std::ops::Range;

use mlxq_engine::worker::{Block, Worker};
use mlxq_engine::{Engine, EngineError, EngineInfo};

/// A process that holds a model and rows.
pub(in super::super) trait Station {
    /// What runs there.
    fn info(&self) -> &EngineInfo;

    /// Its process; `None` for one that has none of its own.
    fn pid(&self) -> Option<u32>;

    /// Computes the rows `rows`, `batch` at a time, and measures each call.
    ///
    /// # Errors
    /// When the process fails.
    fn time_rows(&mut self, rows: Range<usize>, batch: usize) -> Result<Block, EngineError>;
}

impl Station for Worker {
    fn info(&self) -> &EngineInfo {
        Engine::info(self)
    }

    fn pid(&self) -> Option<u32> {
        Some(Worker::pid(self))
    }

    fn time_rows(&mut self, rows: Range<usize>, batch: usize) -> Result<Block, EngineError> {
        Worker::time_rows(self, rows, batch)
    }
}
