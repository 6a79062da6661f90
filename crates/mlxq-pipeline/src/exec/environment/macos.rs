//! What macOS says of the machine through `sysctl` and `pmset`.

use std::process::{Command, Stdio};

use super::{Machine, State};

/// What `here` lacks and can be read.
pub(super) fn machine(here: Machine) -> Machine {
    let number = |key| sysctl(key).and_then(|text| text.parse::<usize>().ok());
    Machine {
        cpu: sysctl("machdep.cpu.brand_string"),
        logical_cores: number("hw.logicalcpu"),
        physical_cores: number("hw.physicalcpu"),
        os: sysctl("kern.osproductversion").map_or(here.os, |version| format!("macOS {version}")),
        kernel: sysctl("kern.osrelease"),
        memory_mb: number("hw.memsize").map(|bytes| bytes as f64 / f64::from(1 << 20)),
        ..here
    }
}

/// What can be read now.
pub(super) fn state() -> State {
    State {
        load_average: sysctl("vm.loadavg").and_then(|text| load_average(&text)),
        on_battery: said("pmset", &["-g", "batt"]).and_then(|text| on_battery(&text)),
        low_power: said("pmset", &["-g"]).and_then(|text| low_power(&text)),
        ..State::default()
    }
}

fn sysctl(key: &str) -> Option<String> {
    said("sysctl", &["-n", key])
}

/// What a program prints, if it ends well.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Some(text).filter(|text| output.status.success() && !text.is_empty())
}

/// `{ 1.84 1.90 2.00 }`.
fn load_average(text: &str) -> Option<[f64; 3]> {
    let numbers: Vec<f64> =
        text.split_whitespace().filter_map(|part| part.replace(',', ".").parse().ok()).collect();
    numbers.first_chunk().copied()
}

/// `Now drawing from 'Battery Power'` in the first line.
fn on_battery(text: &str) -> Option<bool> {
    let source = text.lines().next()?.split('\'').nth(1)?;
    Some(source == "Battery Power")
}

/// ` lowpowermode         1` among the settings in use.
fn low_power(text: &str) -> Option<bool> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lowpowermode"))?;
    Some(line.trim() != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the form that the manual pages of sysctl(8) and pmset(1) show.
    #[test]
    fn answers_are_read() {
        assert_eq!(load_average("{ 1.84 1.90 2.00 }"), Some([1.84, 1.90, 2.00]));
        assert_eq!(load_average("{ }"), None);
        assert_eq!(on_battery("Now drawing from 'Battery Power'\n -InternalBattery-0"), Some(true));
        assert_eq!(on_battery("Now drawing from 'AC Power'\n"), Some(false));
        assert_eq!(on_battery(""), None);
        let settings = "Currently in use:\n standby              1\n lowpowermode         1\n";
        assert_eq!(low_power(settings), Some(true));
        assert_eq!(low_power(" standby 1"), None);
    }
}
