//! The tests' small files, made by the peers.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{command, run as run_command};
use crate::{peers, places};

/// Makes everything under `fixtures/` again.
///
/// # Errors
/// When the peers' environment or a script fails.
pub(crate) fn run() -> Result<ExitCode> {
    let (root, python) = (places::root(), peers::python()?);
    let fixtures = root.join("fixtures");
    let golden = fixtures.join("mlx-quantize.json");
    for (script, target) in [("golden_quantize.py", &golden), ("fixtures.py", &fixtures)] {
        run_command(command(&python, [root.join("peers").join(script)]).arg(target))?;
    }
    Ok(ExitCode::SUCCESS)
}
