//! A run's folder: `report.json`, `samples.jsonl`, `events.jsonl`; written while the run goes on, and read
//! again to compare two.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::cell::CellReport;
use super::changes::changes;
use super::events::{Event, EventLog};
use super::report::{FailedCell, Report, RunSettings};
use super::samples::{lines, read_samples};
use super::{Sample, now_utc, write_json};
use crate::{ExitClass, PipelineError, Places};

const REPORT: &str = "report.json";
const SAMPLES: &str = "samples.jsonl";
const EVENTS: &str = "events.jsonl";

/// Writes the records of a run that goes on.
pub(crate) struct Recorder {
    folder: PathBuf,
    report: Report,
    events: EventLog,
    samples: File,
}

impl Recorder {
    /// Makes the folder of a run that begins now.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn begin(
        places: &Places,
        settings: RunSettings,
        cells: &[String],
    ) -> Result<Self, PipelineError> {
        let (id, folder) = new_folder(places)?;
        let path = folder.join(SAMPLES);
        let samples = OpenOptions::new().create_new(true).append(true).open(&path);
        let mut recorder = Self {
            report: Report::begin(id, settings),
            events: EventLog::open(&folder.join(EVENTS))?,
            samples: samples.map_err(PipelineError::io(&path))?,
            folder,
        };
        recorder.events.write(&Event::RunStarted {
            run_id: &recorder.report.run_id,
            version: env!("CARGO_PKG_VERSION"),
            cells,
        })?;
        recorder.save()?;
        Ok(recorder)
    }

    /// The run's id.
    pub(crate) fn id(&self) -> &str {
        &self.report.run_id
    }

    /// What is recorded so far.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// The file `report.json`.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(REPORT)
    }

    /// Appends to the event log.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn event(&mut self, event: &Event) -> Result<(), PipelineError> {
        self.events.write(event)
    }

    /// Adds a finished cell: first its rows, then the report that names it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn finished(
        &mut self,
        cell: CellReport,
        samples: Vec<Sample>,
    ) -> Result<(), PipelineError> {
        let path = self.folder.join(SAMPLES);
        let lines =
            lines(&cell.id, samples).map_err(|error| PipelineError::io(&path)(error.into()))?;
        self.samples.write_all(&lines).map_err(PipelineError::io(&path))?;
        self.report.cells.push(cell);
        self.report.changes = changes(&self.report.cells);
        self.save()
    }

    /// Adds a cell that could not be measured.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn failed(
        &mut self,
        id: &str,
        [model, dataset]: [&str; 2],
        error: &PipelineError,
    ) -> Result<(), PipelineError> {
        let error = error.to_string();
        self.event(&Event::CellFailed { cell: id, error: &error })?;
        let (model, dataset_key) = (model.to_owned(), dataset.to_owned());
        self.report.failures.push(FailedCell { model, dataset_key, error });
        self.save()
    }

    /// Ends the run.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(crate) fn end(&mut self, class: ExitClass) -> Result<(), PipelineError> {
        self.report.ended = Some(now_utc());
        self.report.exit_code = Some(class.number());
        self.save()?;
        self.event(&Event::RunEnded { exit_code: class.number() })
    }

    fn save(&self) -> Result<(), PipelineError> {
        write_json(&self.path(), &self.report)
    }
}

/// A new folder named by the time; runs that begin in the same second are numbered.
fn new_folder(places: &Places) -> Result<(String, PathBuf), PipelineError> {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let runs = places.run("");
    std::fs::create_dir_all(&runs).map_err(PipelineError::io(&runs))?;
    let mut number = 1;
    loop {
        let id = if number == 1 { time.clone() } else { format!("{time}-{number}") };
        let folder = places.run(&id);
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok((id, folder)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(PipelineError::io(&folder)(error)),
        }
    }
}

/// A run that is read again.
#[derive(Debug)]
pub(crate) struct RunFolder {
    /// Where its report lies.
    pub(crate) path: PathBuf,
    /// The report.
    pub(crate) report: Report,
    /// The rows of each cell, by the cell's id.
    pub(crate) samples: BTreeMap<String, Vec<Sample>>,
}

impl RunFolder {
    /// Reads the run in the folder `path`, or the one whose `report.json` is `path`.
    ///
    /// # Errors
    /// When a file is missing or broken, or a cell of the report has no rows or others than it says.
    pub(crate) fn read(path: &Path) -> Result<Self, PipelineError> {
        let path = if path.is_dir() { path.join(REPORT) } else { path.to_owned() };
        let report = Report::read(&path)?;
        let samples_path = path.with_file_name(SAMPLES);
        let samples = read_samples(&samples_path)?;
        for cell in &report.cells {
            let rows = samples.get(&cell.id).map_or(0, Vec::len);
            if rows != cell.sample_size {
                let (id, expected) = (&cell.id, cell.sample_size);
                return Err(PipelineError::Record {
                    path: samples_path,
                    line: None,
                    reason: format!(
                        "cell `{id}` has {rows} rows here and {expected} in its report"
                    ),
                });
            }
        }
        Ok(Self { path, report, samples })
    }
}
