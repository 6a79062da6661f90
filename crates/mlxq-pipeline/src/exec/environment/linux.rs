//! What Linux says of the machine in `/proc` and `/sys`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Machine, State};

const CPUS: &str = "sys/devices/system/cpu";

/// The files of a machine under a root folder; tests have their own.
pub(super) struct Files(PathBuf);

impl Files {
    /// This machine's.
    pub(super) fn here() -> Self {
        Self("/".into())
    }

    /// The text of a file, without spaces around it; `None` where there is none to read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.0.join(path)).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// Names of everything in a folder that begin with `prefix`, as paths below the root, sorted.
    fn names(&self, folder: &str, prefix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(Path::new(folder))).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut paths: Vec<String> = names
            .filter(|name| name.starts_with(prefix))
            .map(|name| format!("{folder}/{name}"))
            .collect();
        paths.sort();
        paths
    }

    /// The texts of the file `name` of all cores.
    fn of_cores(&self, name: &str) -> Vec<String> {
        let cores = self.names(CPUS, "cpu").into_iter();
        cores.filter_map(|core| self.text(&format!("{core}/{name}"))).collect()
    }

    /// What `here` lacks and can be read.
    pub(super) fn machine(&self, here: Machine) -> Machine {
        let siblings = self.of_cores("topology/thread_siblings_list");
        let physical: BTreeSet<&String> = siblings.iter().collect();
        let counted = |count: usize| Some(count).filter(|count| *count > 0);
        let release = self.text("etc/os-release").and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_owned())
        });
        Machine {
            cpu: self.cpu_name(),
            logical_cores: counted(siblings.len()),
            physical_cores: counted(physical.len()),
            os: release.unwrap_or(here.os),
            kernel: self.text("proc/sys/kernel/osrelease"),
            memory_mb: self.memory_mb("MemTotal"),
            ..here
        }
    }

    fn cpu_name(&self) -> Option<String> {
        let text = self.text("proc/cpuinfo")?;
        let named = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines.find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned())
        };
        ["model name", "cpu model", "Model", "Hardware"].into_iter().find_map(named)
    }

    fn memory_mb(&self, key: &str) -> Option<f64> {
        let text = self.text("proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib / 1024.0)
    }

    /// What can be read now.
    pub(super) fn state(&self) -> State {
        let governors: BTreeSet<String> =
            self.of_cores("cpufreq/scaling_governor").into_iter().collect();
        let lowest = range_mhz(&self.of_cores("cpufreq/cpuinfo_min_freq"));
        let highest = range_mhz(&self.of_cores("cpufreq/cpuinfo_max_freq"));
        State {
            governors: (!governors.is_empty()).then(|| governors.into_iter().collect()),
            frequency_limits_mhz: lowest.zip(highest).map(|(low, high)| [low[0], high[1]]),
            frequency_mhz: range_mhz(&self.of_cores("cpufreq/scaling_cur_freq")),
            turbo: self.turbo(),
            load_average: self.load_average(),
            memory_available_mb: self.memory_mb("MemAvailable"),
            temperature_c: self.temperature(),
            on_battery: self.on_battery(),
            low_power: self
                .text("sys/firmware/acpi/platform_profile")
                .map(|profile| profile == "low-power"),
        }
    }

    fn turbo(&self) -> Option<bool> {
        let off = self.text(&format!("{CPUS}/intel_pstate/no_turbo")).map(|text| text == "0");
        off.or_else(|| self.text(&format!("{CPUS}/cpufreq/boost")).map(|text| text == "1"))
    }

    fn load_average(&self) -> Option<[f64; 3]> {
        let text = self.text("proc/loadavg")?;
        let numbers: Vec<f64> = text.split(' ').map_while(|part| part.parse().ok()).collect();
        numbers.first_chunk().copied()
    }

    fn temperature(&self) -> Option<f64> {
        let zones = self.names("sys/class/thermal", "thermal_zone").into_iter();
        let sensors = zones.filter_map(|zone| self.text(&format!("{zone}/temp"))?.parse().ok());
        sensors.map(|thousandths: f64| thousandths / 1e3).reduce(f64::max)
    }

    fn on_battery(&self) -> Option<bool> {
        let supplies = self.names("sys/class/power_supply", "").into_iter();
        let states: Vec<bool> = supplies
            .filter(|supply| self.text(&format!("{supply}/type")).as_deref() == Some("Battery"))
            .filter_map(|supply| self.text(&format!("{supply}/status")))
            .map(|status| status == "Discharging")
            .collect();
        (!states.is_empty()).then(|| states.contains(&true))
    }
}

/// Lowest and highest of frequencies written in kHz, in MHz.
fn range_mhz(texts: &[String]) -> Option<[f64; 2]> {
    let mhz = || texts.iter().filter_map(|text| text.parse::<f64>().ok()).map(|khz| khz / 1e3);
    Some([mhz().reduce(f64::min)?, mhz().reduce(f64::max)?])
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine of these files.
    pub(in super::super) fn machine_of(files: &[(&str, &str)]) -> (tempfile::TempDir, Files) {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        let files = Files(root.path().to_owned());
        (root, files)
    }

    /// Four threads on two cores, in the form of the kernel's files; the numbers are read by hand.
    #[test]
    fn a_notebook_is_read() {
        let (_root, files) = machine_of(&[
            ("proc/cpuinfo", "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: x\n"),
            ("proc/meminfo", "MemTotal:       2097152 kB\nMemAvailable:    1048576 kB\n"),
            ("proc/loadavg", "0.50 0.25 1.00 2/345 6789\n"),
            ("proc/sys/kernel/osrelease", "6.1.0-1\n"),
            ("etc/os-release", "ID=x\nPRETTY_NAME=\"Some Linux 12\"\n"),
            ("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2\n"),
            ("sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,3\n"),
            ("sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "0,2\n"),
            ("sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "1,3\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1800000\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "2400000\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq", "400000\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "4000000\n"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
            ("sys/class/power_supply/AC/type", "Mains\n"),
            ("sys/class/power_supply/BAT0/type", "Battery\n"),
            ("sys/class/power_supply/BAT0/status", "Discharging\n"),
            ("sys/class/thermal/thermal_zone0/temp", "41000\n"),
            ("sys/class/thermal/thermal_zone1/temp", "57500\n"),
        ]);
        let machine = files.machine(Machine::default());
        assert_eq!(machine.cpu.as_deref(), Some("Some CPU @ 2 GHz"));
        assert_eq!((machine.logical_cores, machine.physical_cores), (Some(4), Some(2)));
        assert_eq!((machine.os.as_str(), machine.memory_mb), ("Some Linux 12", Some(2048.0)));
        assert_eq!(machine.kernel.as_deref(), Some("6.1.0-1"));
        let state = files.state();
        assert_eq!(state.governors, Some(vec!["performance".to_owned(), "powersave".to_owned()]));
        assert_eq!(state.frequency_mhz, Some([1800.0, 2400.0]));
        assert_eq!(state.frequency_limits_mhz, Some([400.0, 4000.0]));
        assert_eq!((state.turbo, state.on_battery), (Some(false), Some(true)));
        assert_eq!(state.load_average, Some([0.5, 0.25, 1.0]));
        assert_eq!((state.memory_available_mb, state.temperature_c), (Some(1024.0), Some(57.5)));
    }

    #[test]
    fn what_cannot_be_read_is_absent() {
        let (_root, files) =
            machine_of(&[("proc/loadavg", "busy\n"), ("proc/meminfo", "MemTotal:")]);
        assert_eq!(files.machine(Machine::default()), Machine::default());
        assert_eq!(files.state(), State::default());
    }
}
