//! `samples.jsonl`: every row with every side's answer, from which each figure can be computed again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Sample;
use crate::PipelineError;

/// A line of `samples.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(super) struct SampleLine {
    /// The cell's `id` in `report.json`.
    cell: String,
    /// The row.
    #[serde(flatten)]
    sample: Sample,
}

/// Rows as lines of `samples.jsonl`.
pub(super) fn lines(cell: &str, samples: Vec<Sample>) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for sample in samples {
        serde_json::to_writer(&mut bytes, &SampleLine { cell: cell.to_owned(), sample })?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// The rows of `path` by their cells.
///
/// # Errors
/// When it cannot be read, or a line is no row.
pub(super) fn read_samples(path: &Path) -> Result<BTreeMap<String, Vec<Sample>>, PipelineError> {
    let file = File::open(path).map_err(PipelineError::io(path))?;
    let mut cells: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for (place, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(PipelineError::io(path))?;
        let wrong = |error: serde_json::Error| PipelineError::Record {
            path: path.to_owned(),
            line: Some(place + 1),
            reason: error.to_string(),
        };
        let SampleLine { cell, sample } = serde_json::from_str(&line).map_err(wrong)?;
        cells.entry(cell).or_default().push(sample);
    }
    Ok(cells)
}
