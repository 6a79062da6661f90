//! What is kept of a run: JSON with the original pipeline's names and keys, and more.

mod cell;
mod changes;
mod compared;
mod comparison;
mod events;
mod fidelity;
mod figures;
mod inspection;
mod judgement;
mod kept;
mod original;
mod provenance;
mod report;
mod run;
mod samples;
mod timing;

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use tempfile::NamedTempFile;

use crate::PipelineError;

pub(crate) use cell::{CellReport, Figure, SideReport, Sides, TimingSource};
pub use compared::Compared;
pub(crate) use compared::{
    ComparedCell, ComparedFigure, ComparedFlips, ComparedRun, ComparedSide, ComparedSpeed,
};
pub(crate) use comparison::{Comparison, Side, SideFigures};
pub(crate) use events::Event;
pub(crate) use fidelity::{FidelityComparison, FidelityReport};
pub(crate) use figures::Rows;
pub use inspection::Inspected;
pub(crate) use inspection::{Row, Total, bits_per_weight};
pub(crate) use judgement::{
    EmbeddingFidelity, Estimate, Example, Fidelity, Flips, Judgement, LogitFidelity, McNemarTest,
    Pair, PairedFigure, Sample, SampleId, SideAnswer,
};
pub(crate) use kept::Kept;
pub use report::schemas;
pub(crate) use report::{Report, RunSettings, SCHEMA_VERSION};
pub(crate) use run::{Recorder, RunFolder};
pub(crate) use timing::TimingReport;

/// The local time, ISO 8601 without zone, as the original writes it.
pub(crate) fn now_local() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

/// The time in UTC, RFC 3339.
pub(crate) fn now_utc() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Seconds since 1970.
pub(crate) fn now_unix() -> f64 {
    jiff::Timestamp::now().as_microsecond() as f64 / 1e6
}

/// Writes `value` to `path`: a temporary sibling, then renamed.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), PipelineError> {
    let bytes = serde_json::to_vec_pretty(value);
    let mut bytes = bytes.map_err(|error| PipelineError::io(path)(error.into()))?;
    bytes.push(b'\n');
    write_whole(path, &bytes)
}

/// A temporary file with the permissions that any new file has here: others may read records.
fn temporary_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Writes `bytes` to `path`: a temporary sibling, then renamed.
///
/// # Errors
/// When the disk refuses.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PipelineError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(PipelineError::io(folder))?;
    let mut file = temporary_in(folder).map_err(PipelineError::io(folder))?;
    file.write_all(bytes).map_err(PipelineError::io(path))?;
    file.persist(path).map_err(|error| PipelineError::io(path)(error.error))?;
    Ok(())
}
