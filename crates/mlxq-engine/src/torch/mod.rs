//! The PyTorch baseline: a Python process that shares no model or pooling code with ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::EngineError;
use crate::worker::WorkerCommand;

/// The script that answers for PyTorch.
const SCRIPT: &str = include_str!("worker.py");

/// A hash of the script's text, part of the key under which predictions are kept.
pub fn script() -> &'static str {
    SCRIPT
}

/// The interpreters to try: the one asked for alone, else those of the PATH.
pub fn candidates(asked: Option<&Path>) -> Vec<PathBuf> {
    match asked {
        Some(path) => vec![path.to_owned()],
        None => vec![PathBuf::from("python3"), PathBuf::from("python")],
    }
}

/// How the worker is started, and with which libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorchInstallation {
    /// The interpreter.
    pub python: PathBuf,
    /// Versions of Python, torch and transformers, for people.
    pub versions: String,
}

/// Finds an interpreter that has torch and transformers: `asked`, else `python3` and `python`.
///
/// # Errors
/// When none has, with what was tried and what to install.
pub fn find(asked: Option<&Path>) -> Result<TorchInstallation, EngineError> {
    let mut tried = Vec::new();
    for python in candidates(asked) {
        match probe(&python) {
            Ok(versions) => return Ok(TorchInstallation { python, versions }),
            Err(reason) => tried.push(format!("`{}`: {reason}", python.display())),
        }
    }
    Err(EngineError::Missing {
        engine: "torch".to_owned(),
        reason: format!(
            "{}; install it with `pip install torch transformers` and name that Python with --python",
            tried.join("; ")
        ),
    })
}

/// The versions that an interpreter has, from its packages' metadata: importing takes seconds.
fn probe(python: &Path) -> Result<String, String> {
    const PROBE: &str = "import platform\nfrom importlib.metadata import version\n\
        print('python', platform.python_version(), *(f'{n} {version(n)}' for n in ('torch', 'transformers')))";
    let output = Command::new(python).args(["-c", PROBE]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or("it failed without a word").escape_debug().to_string())
}

impl TorchInstallation {
    /// The command that starts the worker.
    pub fn command(&self, timeout: Duration) -> WorkerCommand {
        WorkerCommand {
            engine: "torch".to_owned(),
            program: self.python.clone(),
            arguments: vec!["-c".into(), SCRIPT.into()],
            timeout,
        }
    }
}
