//! Whole conversions against `mlx_lm.convert`: processes that take turns, their files warm.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{command, output, say};
use crate::{fixtures, model, peers, places, quickstart};

/// What one process took.
#[derive(Clone, Copy)]
struct Taken {
    /// Seconds from start to end.
    wall: f64,
    /// Seconds of all its threads.
    cpu: f64,
    /// Its largest resident memory in MB of 10^6 bytes.
    peak_mb: f64,
    /// Seconds that it waited for the disk to flush its files; only ours does.
    flush: f64,
}

/// The programs and folders of a run.
struct Bench {
    python: PathBuf,
    mlxq: PathBuf,
    work: PathBuf,
}

/// Converts llama-1b with both and all-MiniLM-L6-v2 with ours, `rounds` times, and prints medians.
///
/// # Errors
/// When a model cannot be had, a conversion fails, or the two results differ.
pub(crate) fn run(rounds: Option<&str>) -> Result<ExitCode> {
    let rounds: usize = rounds.unwrap_or("3").parse().context("--rounds needs a number")?;
    let work = places::cache()?.join("bench");
    std::fs::create_dir_all(&work)?;
    let bench = Bench { python: peers::python()?, mlxq: quickstart::release_build()?, work };
    let llama = fixtures::llama_1b()?;
    let minilm = places::cache()?.join("models/all-MiniLM-L6-v2");
    model::ensure(&minilm)?;
    say(&format!("{}; files warm, {rounds} rounds", machine()));

    let (mut ours, mut theirs, mut small) = (Vec::new(), Vec::new(), Vec::new());
    // The first round warms the files and is not counted.
    for round in 0..=rounds {
        let turns = [bench.ours(&llama)?, bench.theirs(&llama)?, bench.ours(&minilm)?];
        if round == 0 {
            bench.compare()?;
            continue;
        }
        for (all, taken) in [&mut ours, &mut theirs, &mut small].into_iter().zip(turns) {
            all.push(taken);
        }
    }
    say("                                 wall s (min to max)   CPU s  peak MB");
    say(&row("mlx_lm.convert, llama-1b", &theirs));
    say(&row("mlxq convert, llama-1b", &ours));
    say(&row("mlxq convert, MiniLM", &small));
    let flush = median(&ours, |taken| taken.flush);
    let (slow, fast) = (median(&theirs, wall), median(&ours, wall));
    say(&format!(
        "mlxq is {:.1} x as fast; without the {flush:.2} s for flushing to the disk, which mlx_lm leaves \
         out, {:.1} x; {:.1} x in CPU time; peak memory {:.2} x",
        slow / fast,
        slow / (fast - flush),
        median(&theirs, |taken| taken.cpu) / median(&ours, |taken| taken.cpu),
        median(&ours, |taken| taken.peak_mb) / median(&theirs, |taken| taken.peak_mb),
    ));
    say(&disk(&bench)?);
    std::fs::remove_dir_all(&bench.work)?;
    Ok(ExitCode::SUCCESS)
}

impl Bench {
    fn ours(&self, source: &Path) -> Result<Taken> {
        let target = self.fresh("ours")?;
        let mut command = self.measured(&self.mlxq, ["--quiet", "convert"]);
        command.arg("--hf-path").arg(source).arg("--mlx-path").arg(&target);
        let taken = taken(command.args(["--q-bits", "8", "--q-group-size", "64"]))?;
        let metadata = std::fs::read(target.join("conversion_metadata.json"))?;
        let metadata: Value = serde_json::from_slice(&metadata)?;
        let flush = metadata["flush_seconds"].as_f64().context("no flush_seconds")?;
        Ok(Taken { flush, ..taken })
    }

    fn theirs(&self, source: &Path) -> Result<Taken> {
        let target = self.fresh("theirs")?;
        let mut command = self.measured(&self.python, ["-m", "mlx_lm", "convert", "--quantize"]);
        command.arg("--hf-path").arg(source).arg("--mlx-path").arg(&target);
        taken(command.args(["--q-bits", "8"]).env("HF_HUB_OFFLINE", "1"))
    }

    /// A folder that is not there.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.work.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        Ok(folder)
    }

    fn measured<const N: usize>(&self, program: &Path, arguments: [&str; N]) -> Command {
        let script = places::root().join("peers/measured.py");
        let mut command = command(&self.python, [script.as_path(), program]);
        command.args(arguments);
        command
    }

    /// Refuses results that are not the same tensors. The last of ours is MiniLM's, so llama is converted
    /// once more.
    fn compare(&self) -> Result<()> {
        self.ours(&fixtures::llama_1b()?)?;
        let script = places::root().join("peers/same_tensors.py");
        let folders = [self.work.join("ours"), self.work.join("theirs")];
        say(output(command(&self.python, [script]).args(folders))?.trim());
        Ok(())
    }
}

fn taken(command: &mut Command) -> Result<Taken> {
    let text = output(command)?;
    let value: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let number = |key: &str| value[key].as_f64().with_context(|| format!("no {key}"));
    Ok(Taken {
        wall: number("wall")?,
        cpu: number("cpu")?,
        peak_mb: number("peak_bytes")? * 1e-6,
        flush: 0.0,
    })
}

fn wall(taken: &Taken) -> f64 {
    taken.wall
}

fn median(all: &[Taken], part: impl Fn(&Taken) -> f64) -> f64 {
    let mut parts: Vec<f64> = all.iter().map(part).collect();
    parts.sort_by(f64::total_cmp);
    parts.get(parts.len() / 2).copied().unwrap_or(f64::NAN)
}

fn row(name: &str, all: &[Taken]) -> String {
    let least = all.iter().map(wall).fold(f64::INFINITY, f64::min);
    let most = all.iter().map(wall).fold(0.0, f64::max);
    format!(
        "{name:30} {:8.2} ({least:.2} to {most:.2}) {:9.2} {:8.0}",
        median(all, wall),
        median(all, |taken| taken.cpu),
        median(all, |taken| taken.peak_mb),
    )
}

/// What the disk does with as many bytes as the converted llama has.
fn disk(bench: &Bench) -> Result<String> {
    let text = output(
        command(&bench.python, [places::root().join("peers/disk_speed.py")]).arg(&bench.work),
    )?;
    Ok(format!("disk: {}", text.trim()))
}

/// The processor and the number of its threads.
pub(super) fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown processor", |name| name.trim_start_matches(['\t', ':', ' ']));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{name}, {threads} threads")
}

#[cfg(test)]
mod tests {
    use super::{Taken, median, row};

    #[test]
    fn a_row_has_medians_and_the_range() {
        let all =
            [3.0, 1.0, 2.0].map(|wall| Taken { wall, cpu: 2.0 * wall, peak_mb: 7.0, flush: 0.5 });
        assert_eq!(median(&all, |taken| taken.cpu), 4.0);
        let text = row("x", &all);
        assert!(text.contains("2.00 (1.00 to 3.00)") && text.contains("4.00"), "{text}");
    }
}
