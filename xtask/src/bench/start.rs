//! From the start of a process to its first answer, and the products behind it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::process::{command, output, run as run_command, say};
use crate::{fixtures, model, peers, places, quickstart};

/// Seconds from start to the first answer, seconds of CPU, bytes at the peak.
type Taken = [f64; 3];

/// Starts `mlxq predict` on models of about 100 MB, `rounds` times in turn, and prints medians; then the
/// speed of f32 and of quantized panels.
///
/// # Errors
/// When a model cannot be had or a program fails.
pub(crate) fn run(rounds: Option<&str>) -> Result<ExitCode> {
    let rounds = rounds.unwrap_or("15");
    let work = places::cache()?.join("bench");
    std::fs::create_dir_all(&work)?;
    let (python, mlxq) = (peers::python()?, quickstart::release_build()?);
    let minilm = places::cache()?.join("models/all-MiniLM-L6-v2");
    model::ensure(&minilm)?;
    let bert = fixtures::bert_base()?;
    let folders = [
        ("BERT-base, 8 bits", converted(&mlxq, &bert, &work)?),
        ("BERT-base, float32", bert),
        ("MiniLM, 8 bits", converted(&mlxq, &minilm, &work)?),
        ("MiniLM, float32", minilm),
    ];
    let script = places::root().join("peers/start_speed.py");
    let mut measure = command(&python, [script.as_path()]);
    measure.arg(rounds).arg(&mlxq).args(folders.iter().map(|(_, folder)| folder));
    let text = output(&mut measure)?;

    say(&format!("from the start of the process to the first answer, files warm, {rounds} rounds"));
    say("                          MB   ms (least)   CPU ms  peak MB");
    for ((name, folder), line) in folders.iter().zip(text.lines()) {
        let taken: Vec<Taken> = serde_json::from_str(line).with_context(|| line.to_owned())?;
        say(&row(name, weights_mb(folder)?, &taken));
    }
    products()?;
    std::fs::remove_dir_all(&work)?;
    Ok(ExitCode::SUCCESS)
}

/// The folder in `work` with `source` in 8 bits.
fn converted(mlxq: &Path, source: &Path, work: &Path) -> Result<PathBuf> {
    let target = work.join(source.file_name().context("a folder has a name")?);
    let mut convert = command(mlxq, ["--quiet", "convert"]);
    run_command(convert.arg("--hf-path").arg(source).arg("--mlx-path").arg(&target))?;
    Ok(target)
}

fn weights_mb(folder: &Path) -> Result<f64> {
    Ok(std::fs::metadata(folder.join("model.safetensors"))?.len() as f64 * 1e-6)
}

fn row(name: &str, megabytes: f64, all: &[Taken]) -> String {
    let sorted = |part: usize| {
        let mut parts: Vec<f64> = all.iter().map(|taken| taken[part]).collect();
        parts.sort_by(f64::total_cmp);
        parts
    };
    let median = |part| sorted(part).get(all.len() / 2).copied().unwrap_or(f64::NAN);
    let least = sorted(0).first().copied().unwrap_or(f64::NAN);
    let [wall, cpu, peak] = [median(0) * 1e3, median(1) * 1e3, median(2) * 1e-6];
    let least = least * 1e3;
    format!("{name:22} {megabytes:6.0} {wall:5.0} ({least:4.0}) {cpu:8.0} {peak:8.0}")
}

/// Prints what the kernels' example measures, on one thread.
fn products() -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--quiet", "--package", "mlxq-kernels", "--example"];
    run_command(command(cargo, arguments).arg("product_speed").current_dir(places::root()))?;
    let example = places::target().join("release/examples/product_speed");
    say(output(&mut command(example, ["1"]))?.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_row_has_medians_and_the_least() {
        let all = [[0.3, 0.2, 5e6], [0.1, 0.4, 7e6], [0.2, 0.3, 6e6]];
        let text = super::row("x", 117.0, &all);
        let words: Vec<&str> = text.split_whitespace().collect();
        assert_eq!(words, ["x", "117", "200", "(", "100)", "300", "6"]);
    }
}
