//! The machine that a measurement ran on, before and after, and what happened on it meanwhile.
//!
//! Linux answers by `/proc` and `/sys`, macOS by `sysctl` and `pmset`; what cannot be read is `null`.

mod linux;
mod macos;
mod notes;
mod process;

use std::time::Instant;

use mlxq_engine::EngineInfo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use linux::Files;
use process::Ticks;
pub(super) use process::{Activity, activity};

/// The machine, the programs on it, and how quiet it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Environment {
    /// What does not change while it runs.
    pub(crate) machine: Machine,
    /// Its state before the first block.
    pub(crate) before: State,
    /// Its state after the last.
    pub(crate) after: State,
    /// What happened between the two.
    pub(crate) meanwhile: Meanwhile,
    /// Version of this program.
    pub(crate) mlxq_version: String,
    /// What computed, in the order of a round.
    pub(crate) engines: Vec<EngineFacts>,
    /// In words, what a reader of the times should know.
    pub(crate) notes: Vec<String>,
}

/// What does not change while a machine runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Machine {
    /// The processor's name.
    pub(crate) cpu: Option<String>,
    /// Its architecture, as Rust names it.
    pub(crate) arch: String,
    /// Hardware threads.
    pub(crate) logical_cores: Option<usize>,
    /// Cores.
    pub(crate) physical_cores: Option<usize>,
    /// Hardware threads that this process may use.
    pub(crate) usable_cores: Option<usize>,
    /// The operating system and its version.
    pub(crate) os: String,
    /// The kernel's version.
    pub(crate) kernel: Option<String>,
    /// Memory, MiB.
    pub(crate) memory_mb: Option<f64>,
}

/// What may change from one minute to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct State {
    /// Frequency governors of all cores, each once.
    pub(crate) governors: Option<Vec<String>>,
    /// Lowest and highest frequency that the cores may have, MHz.
    pub(crate) frequency_limits_mhz: Option<[f64; 2]>,
    /// Lowest and highest frequency that the cores have now, MHz.
    pub(crate) frequency_mhz: Option<[f64; 2]>,
    /// Whether frequencies above the nominal one are allowed.
    pub(crate) turbo: Option<bool>,
    /// Mean number of running processes over 1, 5 and 15 minutes.
    pub(crate) load_average: Option<[f64; 3]>,
    /// Memory that processes could still get, MiB.
    pub(crate) memory_available_mb: Option<f64>,
    /// The hottest sensor, degrees Celsius.
    pub(crate) temperature_c: Option<f64>,
    /// Whether a battery is being emptied.
    pub(crate) on_battery: Option<bool>,
    /// Whether the system saves power at the cost of speed.
    pub(crate) low_power: Option<bool>,
}

/// What happened on a machine during a measurement.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Meanwhile {
    /// Seconds from the first block to the last.
    pub(crate) seconds: f64,
    /// Share of all cores' time that the hypervisor gave to others.
    pub(crate) steal_share: Option<f64>,
    /// Cores that processes other than mlxq and its engines used, on average.
    pub(crate) cores_of_others: Option<f64>,
}

/// An engine's version and numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EngineFacts {
    /// `native` or `torch`.
    pub(crate) engine: String,
    /// Its version and those of its libraries.
    pub(crate) version: String,
    /// Instruction set or device.
    pub(crate) device: String,
    /// Threads.
    pub(crate) threads: usize,
    /// Type of the activations.
    pub(crate) dtype: Option<String>,
}

impl EngineFacts {
    fn of(info: &EngineInfo) -> Self {
        let dtype = info.setting("activations").or(info.setting("dtype"));
        Self {
            engine: info.engine.clone(),
            version: info.version.clone(),
            device: info.device.clone(),
            threads: info.threads,
            dtype: dtype.map(str::to_owned),
        }
    }
}

/// A machine under observation.
pub(super) struct Watch {
    files: Files,
    begun: Instant,
    before: State,
    ticks: Option<Ticks>,
    /// Processor seconds of this process and of the engines.
    ours: Option<f64>,
}

impl Watch {
    /// Begins; `pids` are the engines' processes.
    pub(super) fn begin(pids: &[u32]) -> Self {
        let files = Files::here();
        Self {
            begun: Instant::now(),
            before: state(&files),
            ticks: Ticks::read(&files),
            ours: seconds_of(pids),
            files,
        }
    }

    /// Ends; `engines` are what ran in the processes `pids`.
    pub(super) fn end<'i>(
        self,
        pids: &[u32],
        engines: impl Iterator<Item = &'i EngineInfo>,
    ) -> Environment {
        let seconds = self.begun.elapsed().as_secs_f64();
        let ticks = self.ticks.zip(Ticks::read(&self.files));
        let ours = self.ours.zip(seconds_of(pids)).map(|(before, after)| after - before);
        let mut environment = Environment {
            machine: machine(&self.files),
            before: self.before,
            after: state(&self.files),
            meanwhile: Meanwhile {
                seconds,
                steal_share: ticks.and_then(|(before, after)| after.steal_share(&before)),
                cores_of_others: ticks.zip(ours).map(|((before, after), ours)| {
                    ((after.busy_seconds(&before) - ours) / seconds).max(0.0)
                }),
            },
            mlxq_version: env!("CARGO_PKG_VERSION").to_owned(),
            engines: engines.map(EngineFacts::of).collect(),
            notes: Vec::new(),
        };
        environment.notes = notes::of(&environment);
        environment
    }
}

/// Processor seconds of this process and of `pids`.
fn seconds_of(pids: &[u32]) -> Option<f64> {
    let all = pids.iter().copied().chain([std::process::id()]);
    all.map(|pid| activity(pid).map(|activity| activity.cpu_seconds)).sum()
}

fn machine(files: &Files) -> Machine {
    let here = Machine {
        arch: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
        usable_cores: std::thread::available_parallelism().ok().map(usize::from),
        ..Machine::default()
    };
    if cfg!(target_os = "macos") { macos::machine(here) } else { files.machine(here) }
}

fn state(files: &Files) -> State {
    if cfg!(target_os = "macos") { macos::state() } else { files.state() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is certain of the machine that runs this test.
    #[test]
    fn this_machine_is_described() {
        let watch = Watch::begin(&[]);
        let environment = watch.end(&[], std::iter::empty());
        assert_eq!(environment.machine.arch, std::env::consts::ARCH);
        assert!(environment.machine.usable_cores.is_some_and(|cores| cores > 0));
        if cfg!(target_os = "linux") {
            assert!(
                environment.machine.kernel.is_some() && environment.machine.memory_mb.is_some()
            );
            assert!(environment.before.load_average.is_some());
            assert!(environment.meanwhile.cores_of_others.is_some());
        }
        let value = serde_json::to_value(&environment).expect("JSON");
        let schema = schemars::schema_for!(Environment);
        let properties = schema.as_value()["properties"].as_object().expect("an object");
        assert!(
            value.as_object().expect("an object").keys().all(|key| properties.contains_key(key))
        );
    }
}
