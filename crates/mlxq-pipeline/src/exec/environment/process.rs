//! Processor time of processes and of the whole machine, on Linux.

use super::linux::Files;

/// Clock ticks in a second of `/proc`: the kernel's `USER_HZ`, 100 on every architecture that mlxq has
/// kernels for.
const TICKS: f64 = 100.0;

/// What a process has done since it began.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Activity {
    /// Seconds of all its threads on processors, in steps of 10 ms.
    pub(in super::super) cpu_seconds: f64,
    /// How often the kernel took a processor from one of its threads.
    pub(in super::super) involuntary_switches: u64,
}

/// Of the process `pid`; `None` where it cannot be read.
pub(in super::super) fn activity(pid: u32) -> Option<Activity> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let switches = tasks.flatten().filter_map(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
        line.trim().parse::<u64>().ok()
    });
    Some(Activity { cpu_seconds: cpu_seconds(&stat)?, involuntary_switches: switches.sum() })
}

/// User and system time in a process's `stat`: the 14th and 15th field, counted after the name, which
/// may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// Processor time of the whole machine since it was started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ticks {
    busy: f64,
    steal: f64,
    all: f64,
}

impl Ticks {
    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; the times
    /// of guests after them are in user and nice already.
    pub(super) fn read(files: &Files) -> Option<Self> {
        let text = files.text("proc/stat")?;
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<f64> = line.split_whitespace().map_while(|part| part.parse().ok()).collect();
        let [user, nice, system, idle, wait, irq, softirq, steal] = *ticks.first_chunk()?;
        let busy = user + nice + system + irq + softirq;
        Some(Self { busy, steal, all: busy + idle + wait + steal })
    }

    /// Seconds that cores have worked since `before`.
    pub(super) fn busy_seconds(&self, before: &Self) -> f64 {
        (self.busy - before.busy) / TICKS
    }

    /// Share of all cores' time since `before` that the hypervisor gave to others.
    pub(super) fn steal_share(&self, before: &Self) -> Option<f64> {
        let all = self.all - before.all;
        (all > 0.0).then(|| (self.steal - before.steal) / all)
    }
}

#[cfg(test)]
mod tests {
    use super::super::linux::tests::machine_of;
    use super::*;

    /// By the field list of proc_pid_stat(5), with a name that looks like fields.
    #[test]
    fn the_time_of_a_process_is_read_behind_its_name() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 5 0 0 0 250 50 9 9 20 0 1 0 3 4 5";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(cpu_seconds("7 (a) S 1"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_used_its_processor() {
        let begun = std::time::Instant::now();
        let before = activity(std::process::id()).expect("readable");
        // Other tests may add to it, never take away.
        while activity(std::process::id()).expect("readable").cpu_seconds <= before.cpu_seconds {
            assert!(begun.elapsed().as_secs() < 60, "a minute of work shows nothing");
        }
        assert_eq!(activity(u32::MAX), None);
    }

    /// By hand: of 400 ticks 10 are stolen and 210 are work.
    #[test]
    fn shares_of_the_machine() {
        let (_root, files) =
            machine_of(&[("proc/stat", "cpu  100 10 50 800 20 5 5 10 0 0\ncpu0 1 2\n")]);
        let before = Ticks::read(&files).expect("a line");
        let (_root, files) =
            machine_of(&[("proc/stat", "cpu  250 20 90 970 30 10 10 20 7 7\ncpu0 1 2\n")]);
        let after = Ticks::read(&files).expect("a line");
        assert_eq!(after.busy_seconds(&before), 2.1);
        assert_eq!(after.steal_share(&before), Some(10.0 / 400.0));
        let (_root, files) = machine_of(&[("proc/stat", "cpu  250 20\n")]);
        assert_eq!(Ticks::read(&files), None);
    }
}
