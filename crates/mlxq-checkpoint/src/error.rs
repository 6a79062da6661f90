//! What can be wrong with a checkpoint, always with the place.

use std::path::{Path, PathBuf};

/// The longest text of a file that a message shows, in characters.
const SHOWN: usize = 200;

/// A text of a file as messages show it: nothing in it steers a terminal, and what is long is cut.
pub fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown = String::new();
    for character in characters.by_ref().take(SHOWN) {
        match character {
            '"' | '\'' => shown.push(character),
            other => shown.extend(other.escape_debug()),
        }
    }
    match characters.count() {
        0 => shown,
        more => format!("{shown}…(+{more})"),
    }
}

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused a file operation.
    #[error("`{path}`: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// A file whose content breaks a rule of its format.
    #[error("`{path}`: {reason}", path = .path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, with the place in the file.
        reason: String,
    },
    /// A tensor that is wrong in itself.
    #[error("tensor `{name}`: {reason}", name = shown(.name))]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Weights that the model type needs and the checkpoint lacks.
    #[error("the checkpoint lacks {count} tensors that its type needs: {listed}")]
    Missing {
        /// How many.
        count: usize,
        /// The first of them, for people.
        listed: String,
    },
    /// A classification head was asked for, and there is none.
    #[error(
        "the checkpoint has no classifier (`{module}`); a head made of nothing would answer at random"
    )]
    NoHead {
        /// The head's module.
        module: String,
    },
    /// The source is no float checkpoint.
    #[error("`{path}`: is quantized already ({how}); convert the original checkpoint", path = .path.display())]
    AlreadyQuantized {
        /// The folder.
        path: PathBuf,
        /// What says so.
        how: String,
    },
    /// Whoever watches the conversion wants it to end.
    #[error("interrupted")]
    Interrupted,
    /// The output folder cannot be written.
    #[error("`{path}`: {reason}", path = .path.display())]
    Output {
        /// The folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl CheckpointError {
    /// The error of a file operation on `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// The error of a file's content.
    pub(crate) fn file(path: &Path, reason: impl Into<String>) -> Self {
        Self::File { path: path.to_owned(), reason: reason.into() }
    }

    /// The error of a tensor.
    pub(crate) fn tensor(name: &str, reason: impl Into<String>) -> Self {
        Self::Tensor { name: name.to_owned(), reason: reason.into() }
    }

    /// The error of one tensor that is not there.
    pub fn missing_tensor(name: &str) -> Self {
        Self::Missing { count: 1, listed: format!("`{name}`") }
    }

    /// The error of scales for which the configuration has no quantization.
    pub fn unexplained_scales(name: &str) -> Self {
        Self::tensor(name, "holds scales, but config.json has no `quantization` for its module")
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn texts_of_files_are_tamed() {
        assert_eq!(shown("a.b_ä東 \"x\""), "a.b_ä東 \"x\"");
        assert_eq!(shown("\u{1b}[31m\n\u{202e}"), "\\u{1b}[31m\\n\\u{202e}");
        assert_eq!(shown(&"n".repeat(5000)), format!("{}…(+4800)", "n".repeat(200)));
    }
}
