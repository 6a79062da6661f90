//! Instructions by function, counted by callgrind: a witness that another process cannot disturb.
//!
//! Callgrind knows no AVX-512, so the engine takes AVX2 there. What loading costs is in a run of one pass and in
//! a run of two; their difference is a pass.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::process::{command, say};

/// Rows of a pass, one of each length from 7 to 13.
const ROWS: usize = 7;
const FUNCTIONS: usize = 12;

/// Prints the instructions for each text of the model in `folder`, which `native` runs on one thread.
///
/// # Errors
/// When valgrind or the engine fails.
pub(super) fn count(native: &Path, folder: &Path, work: &Path, activations: &str) -> Result<()> {
    let rows = work.join("rows.json");
    std::fs::write(&rows, workload().to_string())?;
    let run = |passes: usize| -> Result<HashMap<String, i64>> {
        let file = work.join("callgrind.out");
        let mut valgrind = command("valgrind", ["--tool=callgrind", "--quiet"]);
        valgrind.arg(format!("--callgrind-out-file={}", file.display())).arg(native).arg(folder);
        valgrind.args([activations, "1"]).arg(&rows).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = valgrind.spawn().context("cannot run valgrind")?;
        let mut stdin = child.stdin.take().context("no pipe")?;
        stdin.write_all("pass rows\n".repeat(passes).as_bytes())?;
        drop(stdin);
        let status = child.wait()?;
        if !status.success() {
            bail!("the engine ended with {status} under valgrind");
        }
        let text = std::fs::read(&file).with_context(|| file.display().to_string())?;
        Ok(by_function(&String::from_utf8_lossy(&text)))
    };
    let (one, mut two) = (run(1)?, run(2)?);
    for (function, cost) in one {
        *two.entry(function).or_default() -= cost;
    }
    say(&table(two));
    Ok(())
}

/// Rows of 10 tokens in the mean, as STS-B's are.
fn workload() -> serde_json::Value {
    let word = |row: usize, at: usize| 1996 + (row * 7919 + at * 104_729) % 20_000;
    let row = |row: usize| -> Vec<usize> {
        let words = (0..5 + row).map(|at| word(row, at));
        std::iter::once(101).chain(words).chain([102]).collect()
    };
    let rows: Vec<Vec<usize>> = (0..ROWS).map(row).collect();
    let places: Vec<[usize; 1]> = (0..ROWS).map(|place| [place]).collect();
    json!({"rows": rows, "workloads": {"rows": places}})
}

/// The instructions of each function itself, from a file in callgrind's format (its manual: "Callgrind
/// Format Specification"): `fn=(id) name`, with the name only where the id comes first; then lines of
/// a position and a cost; after a line `calls=` one line with the cost of the callee.
fn by_function(text: &str) -> HashMap<String, i64> {
    let (mut names, mut costs): (HashMap<&str, &str>, HashMap<String, i64>) = Default::default();
    let (mut current, mut callee_next) = ("", false);
    for line in text.lines() {
        let named = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn="));
        if let Some(function) = named {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, name);
            }
            if line.starts_with("fn=") {
                current = names.get(id).copied().unwrap_or(id);
            }
        } else if line.starts_with("calls=") {
            callee_next = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<i64>().ok());
            if let Some(cost) = cost.filter(|_| !callee_next) {
                *costs.entry(current.to_owned()).or_default() += cost;
            }
            callee_next = false;
        }
    }
    costs
}

fn table(costs: HashMap<String, i64>) -> String {
    let total: i64 = costs.values().sum();
    let mut costs: Vec<(String, i64)> = costs.into_iter().collect();
    costs.sort_by_key(|(_, cost)| -cost);
    let each = |cost: i64| cost as f64 / ROWS as f64 * 1e-6;
    let mut text = format!(
        "{:.2} million instructions for each text (AVX2, one thread)\n\n\
         | function | million | part |\n|---|---|---|\n",
        each(total)
    );
    for (function, cost) in costs.iter().take(FUNCTIONS) {
        let part = *cost as f64 / total as f64 * 100.0;
        text += &format!("| `{function}` | {:.3} | {part:.1} % |\n", each(*cost));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn costs_are_those_of_the_functions_themselves() {
        // The example of the format's specification, shortened, with compressed names.
        let text = "events: Instructions\n\nfl=(1) file1.c\nfn=(1) main\n16 20\ncfn=(2) func1\n\
                    calls=1 50\n16 400\ncfn=(3) func2\ncalls=3 20\n16 400\n\nfn=(2)\n51 100\n\
                    cfn=(3)\ncalls=2 20\n51 300\n\nfn=(3)\n20 700\n";
        let costs = super::by_function(text);
        assert_eq!((costs["main"], costs["func1"], costs["func2"]), (20, 100, 700));
    }
}
