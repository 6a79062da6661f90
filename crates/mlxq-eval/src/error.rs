//! What can be wrong with data and labels.

use std::path::{Path, PathBuf};

/// An error of this crate; every variant names the place.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    /// A data file cannot be read.
    #[error("`{path}`: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A data file that breaks a rule of its format or cannot be used.
    #[error("`{path}`: {reason}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A place in a data file.
    #[error("`{path}` line {line}: {reason}", path = .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// 1-based line, or row where the format has no lines.
        line: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Labels of data and model that do not fit.
    #[error("{0}")]
    Labels(String),
}

impl EvalError {
    pub(crate) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn line(path: &Path, line: u64, reason: impl Into<String>) -> Self {
        Self::Line { path: path.to_owned(), line, reason: reason.into() }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
