//! The main job for real, on a fresh machine: fetch a model, convert it, measure it, judge it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::process::{command, run as run_command, say, status};
use crate::{model, peers, places};

/// Packages of the baseline; the versions are those of `peers/requirements.txt`.
const BASELINE: [&str; 3] = ["torch", "transformers", "numpy"];

/// Runs the task; `with_pytorch` makes an environment with PyTorch first.
///
/// # Errors
/// When the model cannot be fetched or a program fails.
pub(crate) fn run(with_pytorch: bool) -> Result<ExitCode> {
    let root = places::root();
    let work = root.join("quickstart/work");
    model::ensure(&work.join("all-MiniLM-L6-v2"))?;
    let mlxq = release_build()?;
    let mut mlxq_run = command(&mlxq, ["run"]);
    mlxq_run
        .args(["--config", "quickstart/models.yaml", "--config", "quickstart/datasets.yaml"])
        .args(["--output-dir", "quickstart/work/mlx_converted"])
        .current_dir(&root);
    if with_pytorch {
        mlxq_run.arg("--python").arg(baseline_python(&work.join("venv"))?);
    } else {
        // There is no speed to judge, so the blocks may be short.
        mlxq_run.args(["--no-torch", "--block-seconds", "1"]);
    }
    say("mlxq run --config quickstart/models.yaml --config quickstart/datasets.yaml");
    let code = status(&mut mlxq_run)?.code().unwrap_or(1);
    if code == 4 && !with_pytorch {
        say("
The converted model is in quickstart/work/mlx_converted. Its accuracy and size are judged; its speed is
not, because there is nothing to compare it with: `cargo xtask quickstart --with-pytorch` adds the
PyTorch baseline (a download of some hundred megabytes to a few gigabytes, by platform).");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Builds the program as users have it; its path.
///
/// # Errors
/// When it does not build.
pub(crate) fn release_build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    say("building mlxq");
    run_command(
        command(cargo, ["build", "--release", "--quiet", "--package", "mlxq"])
            .current_dir(places::root()),
    )?;
    Ok(places::target().join("release/mlxq"))
}

/// The Python of an environment with the baseline's packages.
fn baseline_python(venv: &Path) -> Result<PathBuf> {
    let list = places::root().join("peers/requirements.txt");
    let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let pinned: Vec<&Path> = text
        .lines()
        .filter(|line| BASELINE.contains(&line.split("==").next().unwrap_or_default()))
        .map(Path::new)
        .collect();
    let python = venv.join("bin/python");
    let complete = venv.join("complete");
    if !complete.is_file() {
        say("making an environment with PyTorch");
        peers::make(venv, &pinned)?;
        std::fs::write(&complete, "")?;
    }
    Ok(python)
}
