//! A run's log file beside what the terminal shows.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use crate::{PipelineError, Reporter, Unit};

/// Passes everything on and writes it, a line each, `<time> - <logger> - <LEVEL> - <message>`.
pub struct Logged<'a> {
    inner: &'a dyn Reporter,
    logger: String,
    file: Mutex<File>,
}

impl<'a> Logged<'a> {
    /// Appends to the log file `path`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(
        inner: &'a dyn Reporter,
        path: &Path,
        logger: &str,
    ) -> Result<Self, PipelineError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(PipelineError::io(folder))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = Mutex::new(file.map_err(PipelineError::io(path))?);
        Ok(Self { inner, logger: logger.to_owned(), file })
    }

    fn write(&self, level: &str, text: &str) {
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S");
        if let Ok(mut file) = self.file.lock() {
            // A full disk must not end a measurement; the records will say so when they are written.
            let _ = writeln!(file, "{time} - {} - {level} - {text}", self.logger);
        }
    }
}

impl Reporter for Logged<'_> {
    fn message(&self, text: &str) {
        self.write("INFO", text);
        self.inner.message(text);
    }

    fn detail(&self, text: &str) {
        self.write("DEBUG", text);
        self.inner.detail(text);
    }

    fn warning(&self, text: &str) {
        self.write("WARNING", text);
        self.inner.warning(text);
    }

    fn progress(&self, label: &str, done: u64, total: u64, unit: Unit) {
        self.inner.progress(label, done, total, unit);
    }

    fn ended(&self, label: &str) {
        self.inner.ended(label);
    }

    fn interrupted(&self) -> bool {
        self.inner.interrupted()
    }
}
