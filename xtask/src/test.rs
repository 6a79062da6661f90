//! The whole test suite: what CI runs, cheapest first, with the time of each part.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Result;

use crate::process::{command, run as run_command, say, watch};
use crate::{model, peers, places, quickstart, smollm2, tidy};

/// How a part ended.
#[derive(Default)]
struct Outcome {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Why it did not run at all.
    not_run: Option<String>,
}

/// One line of the table at the end.
struct Part {
    name: &'static str,
    seconds: f64,
    outcome: Outcome,
}

/// Runs everything; without `with_peers` only what needs Rust alone.
///
/// # Errors
/// When a part cannot be started at all.
pub(crate) fn run(with_peers: bool) -> Result<ExitCode> {
    let mut parts = Vec::new();
    let mut part = |name, work: &mut dyn FnMut() -> Result<Outcome>| {
        say(&format!("\n== {name}"));
        let begun = Instant::now();
        let outcome = work().unwrap_or_else(|error| {
            say(&format!("error: {error:#}"));
            Outcome { failed: 1, ..Outcome::default() }
        });
        parts.push(Part { name, seconds: begun.elapsed().as_secs_f64(), outcome });
    };
    part("format", &mut || check(&mut cargo(&["fmt", "--all", "--check"])));
    part("tidy", &mut || {
        let good = tidy::run()? == ExitCode::SUCCESS;
        Ok(Outcome { passed: good.into(), failed: (!good).into(), ..Outcome::default() })
    });
    part("clippy", &mut || {
        let arguments = ["clippy", "--workspace", "--all-targets", "--quiet", "--"];
        check(cargo(&arguments).args(["--deny", "warnings"]))
    });
    part("Rust tests", &mut rust_tests);
    part("aarch64 tests", &mut aarch64_tests);
    part("peer tests", &mut || {
        if with_peers { peer_tests() } else { Ok(not_run("switched off with --no-peers")) }
    });
    Ok(summary(&parts))
}

/// Writes the JSON Schemas of records; the test that holds them against the types does it.
///
/// # Errors
/// When the test cannot be started.
pub(crate) fn schemas() -> Result<ExitCode> {
    let mut test = cargo(&["test", "--quiet", "-p", "mlxq-pipeline", "--test", "schemas"]);
    test.env("MLXQ_UPDATE_SCHEMAS", "1");
    let good = watch(&mut test, |_| {})?.success();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn not_run(why: &str) -> Outcome {
    Outcome { not_run: Some(why.to_owned()), ..Outcome::default() }
}

fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = command(cargo, arguments);
    cargo.current_dir(places::root());
    cargo
}

/// A program whose exit status is the result.
fn check(command: &mut Command) -> Result<Outcome> {
    let good = watch(command, |_| {})?.success();
    Ok(Outcome { passed: good.into(), failed: (!good).into(), ..Outcome::default() })
}

fn rust_tests() -> Result<Outcome> {
    cargo_tests(cargo(&["test", "--workspace", "--quiet", "--no-fail-fast"]))
}

/// The kernels' tests on another architecture, under emulation.
fn aarch64_tests() -> Result<Outcome> {
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        return Ok(not_run("only x86-64 Linux emulates it"));
    }
    let tool = places::shared().map(|shared| shared.join("tools/aarch64-env"));
    let Some(tool) = tool.filter(|tool| tool.is_file()) else {
        return Ok(not_run("the developers' emulator is not here"));
    };
    let mut outcome =
        emulated_tests(&tool, "max", "portable neon-dotprod neon-i8mm", &["--tests"])?;
    // A core of before the products of bytes; what is filtered out ran above.
    let older = emulated_tests(&tool, "cortex-a72", "portable", &["gemm::"])?;
    outcome.passed += older.passed;
    outcome.failed += older.failed;
    Ok(outcome)
}

/// The kernels' tests on the core `cpu`, which should have the `kernels` for integer products.
fn emulated_tests(tool: &Path, cpu: &str, kernels: &str, which: &[&str]) -> Result<Outcome> {
    let arguments = ["cargo", "test", "--release", "--package", "mlxq-kernels", "--quiet"];
    let mut command = command(tool, arguments);
    // No documentation tests: rustdoc finds no standard library there. None is built for LTO either.
    command
        .args(["--lib", "--no-fail-fast"])
        .args(which)
        .current_dir(places::root())
        .env("QEMU_CPU", cpu)
        .env("MLXQ_KERNELS", kernels)
        .env("CARGO_TARGET_DIR", places::target().join("aarch64"))
        .env("CARGO_PROFILE_RELEASE_LTO", "off");
    cargo_tests(command)
}

fn cargo_tests(mut command: Command) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    match places::shared() {
        Some(shared) => command.env("MLXQ_SHARED", shared),
        None => {
            say("the developers' data sets are not here: tests called `shared_…` do not run");
            command.args(["--", "--skip", "shared_"])
        }
    };
    let status = watch(&mut command, |line| {
        if let Some(counts) = line.strip_prefix("test result: ") {
            outcome.passed += count(counts, "passed");
            outcome.failed += count(counts, "failed");
            outcome.skipped += count(counts, "ignored") + count(counts, "filtered");
        }
    })?;
    outcome.failed += u64::from(outcome.failed == 0 && !status.success());
    Ok(outcome)
}

fn peer_tests() -> Result<Outcome> {
    let python = peers::python()?;
    let models = places::cache()?.join("models");
    let (minilm, decoder) = (models.join("all-MiniLM-L6-v2"), models.join("SmolLM2-135M-Instruct"));
    model::ensure(&minilm)?;
    smollm2::ensure(&decoder)?;
    let mut pytest =
        command(python, ["-m", "pytest", "--quiet", "-rs", "--color=no", "peers/tests"]);
    pytest
        .args(["-p", "no:cacheprovider"])
        .current_dir(places::root())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("HF_HUB_OFFLINE", "1")
        .env("MLXQ", quickstart::release_build()?)
        .env("MLXQ_EVALUATE", evaluation()?)
        .env("MLXQ_MINILM", minilm)
        .env("MLXQ_SMOLLM2", decoder);
    if let Some(shared) = places::shared() {
        pytest.env("MLXQ_SHARED", shared);
    }
    let mut outcome = Outcome::default();
    let status = watch(&mut pytest, |line| {
        if let Some(counts) = pytest_counts(line) {
            outcome = counts;
        }
    })?;
    outcome.failed += u64::from(outcome.failed == 0 && !status.success());
    Ok(outcome)
}

/// Builds the program that gives the figures of `mlxq-eval` to the peers; its path.
fn evaluation() -> Result<PathBuf> {
    let arguments = ["build", "--quiet", "--package", "mlxq-eval", "--example", "evaluate"];
    run_command(&mut cargo(&arguments))?;
    Ok(places::target().join("debug/examples/evaluate"))
}

/// The counts of pytest's last line: `1 failed, 12 passed in 99.02s (0:01:39)`.
fn pytest_counts(line: &str) -> Option<Outcome> {
    let (counts, time) = line.rsplit_once(" in ")?;
    time.starts_with(|first: char| first.is_ascii_digit()).then(|| Outcome {
        passed: count(counts, "passed"),
        failed: count(counts, "failed") + count(counts, "errors"),
        skipped: count(counts, "skipped"),
        not_run: None,
    })
}

/// The number before `word` in a line of counts.
fn count(line: &str, word: &str) -> u64 {
    let words: Vec<&str> =
        line.split([' ', ',', ';', '.']).filter(|word| !word.is_empty()).collect();
    let at =
        words.iter().position(|other| other.trim_end_matches('s') == word.trim_end_matches('s'));
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

fn summary(parts: &[Part]) -> ExitCode {
    say("\npart           seconds  passed  failed  skipped");
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for Part { name, seconds, outcome } in parts {
        let Outcome { passed: p, failed: f, skipped: s, not_run } = outcome;
        let why = not_run.as_ref().map(|why| format!("  did not run: {why}")).unwrap_or_default();
        say(&format!("{name:13} {seconds:8.1} {p:7} {f:7} {s:8}{why}"));
        (passed, failed) = (passed + p, failed + f);
        skipped += s + u64::from(not_run.is_some());
    }
    say(&format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::{count, pytest_counts};

    #[test]
    fn counts_are_read_from_both_kinds_of_lines() {
        let cargo = "ok. 18 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            [count(cargo, "passed"), count(cargo, "failed"), count(cargo, "ignored")],
            [18, 2, 1]
        );
        for time in ["41.02s", "99.02s (0:01:39)"] {
            let line = format!("3 failed, 12 passed, 1 skipped, 1 error in {time}");
            let outcome = pytest_counts(&line).expect("counts");
            assert_eq!([outcome.passed, outcome.failed, outcome.skipped], [12, 4, 1]);
        }
        assert!(pytest_counts("error in the test").is_none());
    }
}
