//! What is kept of a run: JSON with the original pipeline's names and keys, and more.

mod comparison;
mod inspection;
mod judgement;

use std::io::Write;
use std::path::Path;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::PipelineError;

pub(crate) use comparison::{Comparison, Side, SideFigures};
pub use inspection::Inspected;
pub(crate) use judgement::{
    EmbeddingFidelity, Estimate, Example, Fidelity, Flips, Judgement, LogitFidelity, McNemarTest, Pair,
    PairedFigure, Sample, SampleId, SideAnswer,
};
pub(crate) use inspection::{Row, Total, bits_per_weight};

/// The local time, ISO 8601 without zone, as the original writes it.
pub(crate) fn now_local() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> f64 {
    jiff::Timestamp::now().as_microsecond() as f64 / 1e6
}

/// Writes `value` to `path`: a temporary sibling, then renamed.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write_json(path: &Path, value: &Value) -> Result<(), PipelineError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(PipelineError::io(folder))?;
    let mut file = NamedTempFile::new_in(folder).map_err(PipelineError::io(folder))?;
    let mut bytes =
        serde_json::to_vec_pretty(value).expect("a JSON value is written to memory without errors");
    bytes.push(b'\n');
    file.write_all(&bytes).map_err(PipelineError::io(path))?;
    file.persist(path).map_err(|error| PipelineError::io(path)(error.error))?;
    Ok(())
}
