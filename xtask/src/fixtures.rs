//! The tests' small files, made by the peers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::process::{command, run as run_command, say};
use crate::{peers, places};

/// Makes everything under `fixtures/` again.
///
/// # Errors
/// When the peers' environment or a script fails.
pub(crate) fn run() -> Result<ExitCode> {
    let (root, python) = (places::root(), peers::python()?);
    let fixtures = root.join("fixtures");
    for (script, target) in [
        ("golden_quantize.py", &fixtures.join("mlx-quantize.json")),
        ("fixtures.py", &fixtures),
        ("family_fixtures.py", &fixtures.join("families")),
    ] {
        run_command(command(&python, [root.join("peers").join(script)]).arg(target))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder of a random llama of 1.1 billion parameters in the cache, made where it is missing.
///
/// # Errors
/// When the peers' environment or the script fails.
pub(crate) fn llama_1b() -> Result<PathBuf> {
    let folder = places::cache()?.join("models/llama-1b");
    // The script writes it last.
    if !folder.join("config.json").is_file() {
        say(&format!("making llama-1b, 2.2 GB, in {}", folder.display()));
        let script = places::root().join("peers/llama_1b.py");
        run_command(command(peers::python()?, [script]).arg(&folder))?;
    }
    Ok(folder)
}
