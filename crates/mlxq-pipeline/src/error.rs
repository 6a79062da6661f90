//! What can go wrong in a run.

use std::path::{Path, PathBuf};

use crate::ExitClass;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// A configuration file that is wrong, with the place.
    #[error("`{file}`{place}: {reason}", file = .file.display(), place = .line.map(|line| format!(" line {line}")).unwrap_or_default())]
    Config {
        /// The file.
        file: PathBuf,
        /// 1-based line, if it is known.
        line: Option<u64>,
        /// What is wrong.
        reason: String,
    },
    /// Something asked for that does not exist or does not go together.
    #[error("{0}")]
    Usage(String),
    /// The user wants the run to end.
    #[error("interrupted")]
    Interrupted,
    /// A checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] mlxq_checkpoint::CheckpointError),
    /// A model.
    #[error(transparent)]
    Model(#[from] mlxq_models::ModelError),
    /// An engine.
    #[error(transparent)]
    Engine(#[from] mlxq_engine::EngineError),
    /// A data set or its labels.
    #[error(transparent)]
    Eval(#[from] mlxq_eval::EvalError),
    /// A checkpoint's place.
    #[error(transparent)]
    Hub(#[from] mlxq_hub::HubError),
    /// A model that should have been converted.
    #[error("MLX model not found at {path}; make sure to run conversion first: `mlxq convert --config … --model {model}`, or `mlxq run`", path = .path.display())]
    NotConverted {
        /// Where it was looked for.
        path: PathBuf,
        /// The model.
        model: String,
    },
    /// A record of a run that cannot be used, with the place.
    #[error("`{path}`{place}: {reason}", path = .path.display(), place = .line.map(|line| format!(" line {line}")).unwrap_or_default())]
    Record {
        /// The file or folder.
        path: PathBuf,
        /// 1-based line, if it is known.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// Two runs that cannot be compared.
    #[error("the two runs cannot be compared: {0}")]
    NotComparable(String),
    /// A result that cannot be computed.
    #[error("{0}")]
    Measure(String),
    /// A file operation.
    #[error("`{path}`: {source}", path = .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

impl PipelineError {
    /// How a run ends with this error.
    pub fn exit_class(&self) -> ExitClass {
        match self {
            Self::Config { .. } | Self::Usage(_) => ExitClass::Usage,
            Self::Interrupted => ExitClass::Interrupted,
            _ => ExitClass::Input,
        }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
