//! The machine: its processor, whether its threads are cores, and its measured limits.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::super::convert::machine;
use crate::process::{command, output};

/// A machine and what it can do at most.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    /// What [`Limits::threads_are`] says.
    pub(super) threads_are: &'static str,
    pub(super) limits: Limits,
}

/// What the kernels' example `limits` prints.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Limits {
    pub(super) threads: usize,
    /// Loops over registers, 10^9 multiplications with their additions a second.
    pub(super) loops: Vec<Loop>,
    /// Reading memory, 10^9 bytes a second.
    pub(super) read: Rate,
}

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Loop {
    name: String,
    #[serde(flatten)]
    rate: Rate,
}

/// A rate on one thread, and on all of [`Limits::threads`].
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub(super) struct Rate {
    one: f64,
    all: f64,
}

impl Machine {
    /// Measures the machine with the built example `limits`.
    ///
    /// # Errors
    /// When the example fails.
    pub(super) fn measure(limits: &Path, threads: usize) -> Result<Self> {
        let text = output(&mut command(limits, [threads.to_string()]))?;
        let limits: Limits = serde_json::from_str(&text).with_context(|| text.clone())?;
        Ok(Self { processor: machine(), threads_are: limits.threads_are(), limits })
    }

    /// The machine in words and a table.
    pub(super) fn table(&self) -> String {
        let threads = self.limits.threads;
        let mut text = format!("{}; engines have {threads}", self.processor);
        if let Some([least, most]) = self.limits.gains() {
            let gains = format!("{least:.2} to {most:.2} × the arithmetic of one");
            text += &format!(", which do {gains}: {}", self.threads_are);
        }
        text +=
            &format!("\n\n| limit, best of 40 | one thread | {threads} threads |\n|---|---|---|\n");
        for Loop { name, rate } in &self.limits.loops {
            text += &format!("| {name}, G MAC/s | {:.0} | {:.0} |\n", rate.one, rate.all);
        }
        let Rate { one, all } = self.limits.read;
        text + &format!("| memory read, GB/s | {one:.0} | {all:.0} |")
    }
}

impl Limits {
    /// How many times the arithmetic of one thread all do: the least and the most of the loops.
    fn gains(&self) -> Option<[f64; 2]> {
        let gains = self.loops.iter().map(|one| one.rate.all / one.rate.one);
        let range = |[least, most]: [f64; 2], gain: f64| [least.min(gain), most.max(gain)];
        gains.map(|gain| [gain; 2]).reduce(|all, [gain, _]| range(all, gain))
    }

    /// What the threads are by their gains: a loop of one instruction fills a core's units alone, so a
    /// second hyperthread adds nothing. Other processes make gains smaller, and a host may move
    /// a virtual machine's CPUs from two cores to one and back.
    fn threads_are(&self) -> &'static str {
        let whole = self.threads as f64;
        match self.gains() {
            Some(_) if self.threads == 1 => "one core",
            Some([least, _]) if least > 0.85 * whole => "cores",
            Some([_, most]) if most < 1.3 => "hyperthreads of one core, or others are busy",
            _ => "now cores, now hyperthreads, or other processes took part of them",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperthreads_are_told_from_cores_by_their_gain() {
        let limits = |all: [f64; 2], threads| {
            let rate = |all| Loop { name: "fma".to_owned(), rate: Rate { one: 58.6, all } };
            Limits { threads, loops: all.map(rate).into(), read: Rate { one: 24.0, all: 36.0 } }
        };
        for (all, threads, kind) in [
            ([64.0, 58.0], 2, "hyperthreads of one core, or others are busy"),
            ([117.0, 110.0], 2, "cores"),
            ([64.0, 117.0], 2, "now cores, now hyperthreads, or other processes took part of them"),
            ([58.0, 58.6], 1, "one core"),
        ] {
            assert_eq!(limits(all, threads).threads_are(), kind, "{all:?} with {threads}");
        }
        let limits = limits([64.0, 58.6], 2);
        let machine = Machine { processor: "P".to_owned(), threads_are: "x", limits };
        let text = machine.table();
        assert!(text.contains("1.00 to 1.09 × the arithmetic of one: x"), "{text}");
        assert!(text.contains("| fma, G MAC/s | 59 | 64 |"), "{text}");
    }
}
