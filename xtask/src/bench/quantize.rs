//! The quantizing loop alone, in memory, on one core, against `mx.quantize`.
//!
//! Every side is a process that waits for a line with the name of a float format, quantizes 2^24 numbers
//! of it to 8 bits in groups of 64, and answers with its seconds of CPU and wall time. The sides take turns.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};

use crate::process::{command, run as run_command, say};
use crate::{peers, places};

/// Numbers per turn, as both sides have them.
const ELEMENTS: f64 = (1 << 24) as f64;
const FLOATS: [(&str, f64); 3] = [("f32", 4.0), ("f16", 2.0), ("bf16", 2.0)];
/// Instruction sets of `MLXQ_ISA`; what the machine lacks is left out.
const SETS: [&str; 4] = ["portable", "avx2", "avx512", "neon"];
const ROUNDS: usize = 9;

/// Seconds of one turn.
#[derive(Clone, Copy)]
struct Seconds {
    cpu: f64,
    wall: f64,
}

/// A process that works when it is told to.
struct Side {
    name: String,
    child: Child,
    work: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Side {
    fn new(name: &str, command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().with_context(|| format!("cannot start {name}"))?;
        let (work, answers) = child.stdin.take().zip(child.stdout.take()).context("no pipes")?;
        Ok(Self { name: name.to_owned(), child, work, answers: BufReader::new(answers) })
    }

    fn ask(&mut self, question: &str) -> Result<String> {
        writeln!(self.work, "{question}").with_context(|| format!("{} has ended", self.name))?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    fn turn(&mut self, work: &str) -> Result<Seconds> {
        let line = self.ask(work)?;
        let seconds: Vec<f64> = line.split_whitespace().flat_map(str::parse).collect();
        let [cpu, wall] = seconds[..] else { bail!("{} answers {line:?} to {work}", self.name) };
        Ok(Seconds { cpu, wall })
    }

    fn end(self) -> Result<()> {
        let Self { name, mut child, work, .. } = self;
        drop(work);
        let status = child.wait()?;
        if !status.success() {
            bail!("{name} ended with {status}");
        }
        Ok(())
    }
}

/// Measures and prints the ratios of each instruction set that this machine has.
///
/// # Errors
/// When a side cannot be built or started, or fails.
pub(crate) fn run() -> Result<ExitCode> {
    let root = places::root();
    let python = peers::python()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["build", "--release", "--quiet", "--package", "mlxq-kernels", "--example"];
    run_command(command(cargo, arguments).arg("quantize_speed").current_dir(&root))?;
    let ours = places::target().join("release/examples/quantize_speed");
    let mut sides = vec![Side::new(
        "mx.quantize",
        &mut command(python, [root.join("peers/quantize_speed.py")]),
    )?];
    for set in SETS {
        let mut side = Side::new(set, command(&ours, [""; 0]).env("MLXQ_ISA", set))?;
        if side.ask("isa")? == set {
            sides.push(side);
        } else {
            side.end()?;
        }
    }

    // By format and side; the first round only warms up.
    let mut times = vec![vec![Vec::new(); sides.len()]; FLOATS.len()];
    let mut copies = Vec::new();
    for round in 0..=ROUNDS {
        for ((float, _), times) in FLOATS.iter().zip(&mut times) {
            for (side, times) in sides.iter_mut().zip(times) {
                let seconds = side.turn(float)?;
                if round > 0 {
                    times.push(seconds);
                }
            }
        }
        copies.extend(sides[1..].iter_mut().flat_map(|side| side.turn("copy")));
    }
    say("8 bits in groups of 64, 2^24 numbers, one core; medians of CPU time (ratio of wall time)");
    say("format  side         M numbers/s  GB/s of input  times mx.quantize");
    for ((float, size), times) in FLOATS.iter().zip(&times) {
        let mlx = median(&times[0]);
        for (side, times) in sides.iter().zip(times) {
            let ours = median(times);
            let rate = ELEMENTS / ours.cpu;
            let (cpu, wall) = (mlx.cpu / ours.cpu, mlx.wall / ours.wall);
            say(&format!(
                "{float:7} {:11} {:12.0} {:14.2} {cpu:13.2} ({wall:.2})",
                side.name,
                rate * 1e-6,
                rate * size * 1e-9,
            ));
        }
    }
    let copy = 4.0 * ELEMENTS / median(&copies).cpu;
    say(&format!("memcpy of the f32 numbers: {:.2} GB/s read, as much written", copy * 1e-9));
    sides.into_iter().try_for_each(Side::end)?;
    Ok(ExitCode::SUCCESS)
}

/// The medians of CPU and of wall time.
fn median(times: &[Seconds]) -> Seconds {
    let of = |part: fn(&Seconds) -> f64| {
        let mut parts: Vec<f64> = times.iter().map(part).collect();
        parts.sort_by(f64::total_cmp);
        parts.get(parts.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Seconds { cpu: of(|seconds| seconds.cpu), wall: of(|seconds| seconds.wall) }
}

#[cfg(test)]
mod tests {
    use super::{Seconds, median};

    #[test]
    fn medians_are_taken_of_each_part() {
        let times = [(3.0, 5.0), (1.0, 9.0), (2.0, 7.0)].map(|(cpu, wall)| Seconds { cpu, wall });
        let Seconds { cpu, wall } = median(&times);
        assert_eq!((cpu, wall), (2.0, 7.0));
    }
}
