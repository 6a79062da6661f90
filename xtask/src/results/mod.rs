//! The figures of `docs/results.md`, all by `mlxq run`: trained models on their dev sets, and the examples.

mod examples;
mod record;
mod trained;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::process::{command, say, status};
use crate::{peers, places, quickstart};

/// What stands before the tables.
const INTRO: &str = "\
# Results

Made by `cargo xtask results`; do not edit. It runs `mlxq run` over the developers' models and data with the peers'
PyTorch, and writes this page from the records of the two runs. It fails where a float32 figure is not the one that was
found without mlxq: for the trained models the one recorded with transformers when the model was trained (by more than
one row for accuracy, by more than 0.001 for the others), for all-MiniLM-L6-v2 that of sentence-transformers.

All figures are times 100. They do not depend on a machine's speed; on one with other instructions a row at a tie may
fall to the other side.

";

/// Runs everything and writes the page; a figure that is not the one it should be is a failure.
///
/// # Errors
/// When a program fails or a record lacks something.
pub(crate) fn run() -> Result<ExitCode> {
    let Some(shared) = places::shared() else {
        say("the developers' models are not here (MLXQ_SHARED): nothing is measured");
        return Ok(ExitCode::SUCCESS);
    };
    let setting = Setting {
        work: &places::target().join("results"),
        shared: &shared,
        python: &peers::python()?,
        program: &quickstart::release_build()?,
    };
    let (trained, mut faults) = trained::run(&setting)?;
    let (examples, others) = examples::run(&setting)?;
    faults.extend(others);
    let page = places::root().join("docs/results.md");
    std::fs::write(&page, format!("{INTRO}{trained}\n{examples}"))
        .with_context(|| page.display().to_string())?;
    say(&format!("written: {}", page.display()));
    faults.iter().for_each(|fault| say(&format!("error: {fault}")));
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What both runs need.
struct Setting<'s> {
    /// Where they may write.
    work: &'s Path,
    /// The developers' models and data.
    shared: &'s Path,
    /// The peers' Python.
    python: &'s Path,
    /// mlxq.
    program: &'s Path,
}

impl Setting<'_> {
    /// Runs `mlxq run` over `models.yaml` and `datasets.yaml` in `configs`, with at most `max_samples` rows
    /// of each set; the folder of its records. What this program has measured already, with nothing changed
    /// since, is taken over from an earlier run called `name`, so that one that was stopped goes on.
    fn measure(&self, name: &str, configs: &Path, max_samples: Option<usize>) -> Result<PathBuf> {
        let folder = self.work.join(name);
        let mut command = command(self.program, ["run", "--quiet"]);
        for file in ["models.yaml", "datasets.yaml"] {
            command.arg("--config").arg(configs.join(file));
        }
        if let Some(count) = max_samples {
            command.arg("--max-samples").arg(count.to_string());
        }
        // Speed is not the point: the shortest blocks there are.
        command
            .args(["--block-pairs", "5", "--block-seconds", "0.01"])
            .arg("--output-dir")
            .arg(folder.join("converted"))
            .arg("--python")
            .arg(self.python)
            .env("MLX_TEMP_DIR", &folder);
        let code = status(&mut command)?;
        // 1: a gate failed, which a table shows; 4: speed is left open by such short blocks.
        ensure!(matches!(code.code(), Some(0 | 1 | 4)), "the run ended with {code}");
        Ok(folder.join("mlx_conversion"))
    }
}

/// A figure times 100, without a minus before zeros.
fn percent(figure: f64) -> String {
    let text = format!("{:.2}", figure * 100.0);
    if text == "-0.00" { "0.00".to_owned() } else { text.replace('-', "−") }
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn nothing_has_no_sign() {
        assert_eq!([-0.000_01, -0.001, 0.5].map(percent), ["0.00", "−0.10", "50.00"]);
    }
}
