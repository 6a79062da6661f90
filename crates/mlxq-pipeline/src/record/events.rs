//! `events.jsonl`: what has happened in a run, a line each, appended and flushed at once, so that it is
//! there also of a run that was killed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::cell::{GateReport, Outcome};
use super::now_utc;
use crate::PipelineError;

/// Something that has happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// The run has begun.
    RunStarted {
        /// Its id.
        run_id: &'a str,
        /// The program's version.
        version: &'a str,
        /// The ids of the cells that it is to measure.
        cells: &'a [String],
    },
    /// A cell is measured from now on.
    CellStarted {
        /// Its id.
        cell: &'a str,
    },
    /// A cell was measured before, by another run, and is not measured again.
    CellAlreadyMeasured {
        /// Its id.
        cell: &'a str,
        /// Its key.
        key: &'a str,
        /// When it was measured.
        measured: &'a str,
        /// By which run.
        measured_by: &'a str,
    },
    /// A cell is measured and its records are written.
    CellFinished {
        /// Its id.
        cell: &'a str,
        /// Its key.
        key: &'a str,
        /// Seconds that it took.
        seconds: f64,
    },
    /// What the gates of a cell say.
    Verdict {
        /// Its id.
        cell: &'a str,
        /// All gates together.
        verdict: Outcome,
        /// Each of them.
        gates: &'a [GateReport],
    },
    /// A cell could not be measured.
    CellFailed {
        /// Its id.
        cell: &'a str,
        /// Why.
        error: &'a str,
    },
    /// The run has ended, well or not.
    RunEnded {
        /// The exit code.
        exit_code: u8,
    },
}

/// An open event log.
#[derive(Debug)]
pub(super) struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Appends to `path`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(path: &Path) -> Result<Self, PipelineError> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { file: file.map_err(PipelineError::io(path))?, path: path.to_owned() })
    }

    /// Writes `event` with the time; it is on its way to the disk when this returns.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn write(&mut self, event: &Event) -> Result<(), PipelineError> {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            event: &'a Event<'a>,
        }
        let failed = |error: std::io::Error| PipelineError::io(&self.path)(error);
        let line = serde_json::to_vec(&Line { time: now_utc(), event });
        let mut line = line.map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        // One call of the system for a line: readers never see half of one.
        self.file.write_all(&line).map_err(failed)?;
        self.file.sync_data().map_err(failed)
    }
}
