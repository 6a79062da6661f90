//! The engine's speed on whole models, against PyTorch and ONNX Runtime, and the machine's limits.

mod figures;
mod instructions;
mod machine;
mod models;
mod options;
mod table;
mod targets;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use self::figures::Series;
use self::machine::Machine;
use self::options::Options;
use self::targets::Target;
use crate::process::{command, output, run as run_command, say, succeeds};
use crate::{peers, places, quickstart};

/// Runs the task.
///
/// # Errors
/// When an option is wrong, a model cannot be had, or a program fails.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let options = Options::parse(arguments)?;
    let names = models::chosen(&options)?;
    let counts = options.instructions;
    let work = if counts { "bench-engine-instructions" } else { "bench-engine" };
    let work = places::cache()?.join(work);
    if work.exists() {
        // What an interrupted run left.
        std::fs::remove_dir_all(&work)?;
    }
    std::fs::create_dir_all(&work)?;
    let (mlxq, native) = (quickstart::release_build()?, example("mlxq-engine", "engine_speed")?);
    let bench = Bench { options, mlxq, native, work };
    if counts {
        bench.count_instructions()?;
        std::fs::remove_dir_all(&bench.work)?;
        return Ok(ExitCode::SUCCESS);
    }
    let limits = example("mlxq-kernels", "limits")?;
    let machine = Machine::measure(&limits, bench.options.threads)?;
    say(&machine.table());
    let mut told = Told { machine, series: Vec::new(), targets: Vec::new() };
    for name in names {
        bench.measure(&name, &mut told)?;
    }
    std::fs::remove_dir_all(&bench.work)?;
    if bench.options.json {
        // The only thing on the standard output, so that it can be redirected.
        writeln!(std::io::stdout(), "{:#}", told.json())?;
    }
    say(&table::targets(&told.targets));
    Ok(ExitCode::SUCCESS)
}

/// The programs and folders of a run.
struct Bench {
    options: Options,
    mlxq: PathBuf,
    native: PathBuf,
    work: PathBuf,
}

impl Bench {
    /// Runs the series of the model `name`.
    fn measure(&self, name: &str, told: &mut Told) -> Result<()> {
        let series = models::series(name, &self.options, &self.mlxq, &self.work)?;
        let plan = self.work.join("plan.json");
        std::fs::write(&plan, self.plan(series)?.to_string())?;
        let mut driver = command(peers::python()?, ["-m", "engine_speed"]);
        driver.arg(&plan).current_dir(places::root().join("peers"));
        // What the export of graphs would say.
        driver.envs([("TRANSFORMERS_VERBOSITY", "error"), ("HF_HUB_DISABLE_PROGRESS_BARS", "1")]);
        driver.env("PYTHONWARNINGS", "ignore");
        let file_bytes = models::file_bytes(&self.work, name);
        for line in output(&mut driver)?.lines() {
            let series: Series = serde_json::from_str(line).with_context(|| line.to_owned())?;
            say(&table::series(&series));
            told.targets.extend(targets::of(&series, file_bytes));
            told.series.push(series);
        }
        Ok(())
    }

    /// Counts all-MiniLM-L6-v2's, in 8 bits.
    fn count_instructions(&self) -> Result<()> {
        if !succeeds(&mut command("valgrind", ["--version"])) {
            say("valgrind is not here: no instructions are counted");
            return Ok(());
        }
        let folder = models::folder("all-MiniLM-L6-v2")?;
        let folder = models::convert(&self.mlxq, &folder, &self.work.join("model"), 8)?;
        instructions::count(&self.native, &folder, &self.work, "default")
    }

    fn plan(&self, series: Vec<Value>) -> Result<Value> {
        let sentences = places::shared().map(|shared| shared.join("data/stsb/sts-dev.csv"));
        if sentences.is_none() {
            say("STS-B is not here ($MLXQ_SHARED): rows of random words of such lengths instead");
        }
        Ok(json!({
            "threads": self.options.threads, "rounds": self.options.rounds, "native": self.native,
            "sentences": sentences,
            "tokenizer": models::folder("all-MiniLM-L6-v2")?.join("tokenizer.json"),
            "work": self.work, "onnx": places::cache()?.join("onnx"), "series": series,
        }))
    }
}

/// What was measured until now.
struct Told {
    machine: Machine,
    series: Vec<Series>,
    targets: Vec<Target>,
}

impl Told {
    /// Figures, targets and, under `series`, the seconds that they were made of.
    fn json(&self) -> Value {
        let targets = self.targets.iter().map(|target| {
            let mut line = json!(target);
            line["verdict"] = json!(target.verdict());
            line
        });
        json!({
            "machine": self.machine,
            "figures": self.series.iter().map(Series::figures).collect::<Value>(),
            "targets": targets.collect::<Value>(),
            "series": self.series,
        })
    }
}

/// Builds an example of `package` as users have the program; its path.
fn example(package: &str, name: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--quiet", "--package", package, "--example", name];
    run_command(command(cargo, arguments).current_dir(places::root()))?;
    Ok(places::target().join("release/examples").join(name))
}
