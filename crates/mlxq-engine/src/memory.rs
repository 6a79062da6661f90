//! The memory of another process, read from outside so that reading does not disturb it.
//!
//! Linux only, from `/proc`; elsewhere nothing is measured, and callers record that. macOS would count in
//! `phys_footprint`, which the standard library does not give.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two samples.
const INTERVAL: Duration = Duration::from_millis(20);

/// Resident memory of a process at one moment, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resident {
    /// Memory of its own: heap and stacks.
    pub anonymous: u64,
    /// Pages of files, such as mapped weights and libraries.
    pub file: u64,
    /// The highest total since the start or the last reset, by the kernel.
    pub peak: u64,
}

impl Resident {
    /// All of it, MiB.
    pub fn total_mb(&self) -> f64 {
        mib(self.anonymous + self.file)
    }
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Memory over a stretch of time, in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryUse {
    /// Mean over time of resident memory, sampled every 20 ms.
    pub average_mb: f64,
    /// The kernel's high-water mark of the stretch, between samples too.
    pub peak_mb: f64,
    /// Part of the last sample that is the process's own.
    pub anonymous_mb: f64,
    /// Part of the last sample that is pages of files.
    pub file_mb: f64,
}

/// The memory of the process `pid`; `None` where it cannot be read.
pub fn resident(pid: u32) -> Option<Resident> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some(Resident {
        anonymous: bytes("RssAnon")?,
        file: bytes("RssFile")? + bytes("RssShmem").unwrap_or(0),
        peak: bytes("VmHWM")?,
    })
}

/// Samples a process's memory on a thread until it is stopped.
pub struct Sampler {
    pid: u32,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Option<f64>>,
}

impl Sampler {
    /// Resets the kernel's high-water mark of the process `pid` and begins to sample.
    pub fn start(pid: u32) -> Self {
        // Without the right to reset it, the mark covers the time since the process began: the peak
        // is then an upper bound.
        let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || average(pid, &stopped));
        Self { pid, stop, thread }
    }

    /// Ends the sampling; `None` where memory cannot be read.
    pub fn stop(self) -> Option<MemoryUse> {
        self.stop.store(true, Ordering::Relaxed);
        let average = self.thread.join().ok().flatten()?;
        let last = resident(self.pid)?;
        Some(MemoryUse {
            average_mb: average / f64::from(1 << 20),
            peak_mb: mib(last.peak),
            anonymous_mb: mib(last.anonymous),
            file_mb: mib(last.file),
        })
    }
}

/// The mean over time of the resident bytes.
fn average(pid: u32, stopped: &AtomicBool) -> Option<f64> {
    let (mut weighted, mut seconds) = (0.0, 0.0);
    let mut before = Instant::now();
    loop {
        let sample = resident(pid)?;
        let bytes = (sample.anonymous + sample.file) as f64;
        std::thread::sleep(INTERVAL);
        let now = Instant::now();
        let elapsed = (now - before).as_secs_f64();
        weighted += bytes * elapsed;
        seconds += elapsed;
        before = now;
        if stopped.load(Ordering::Relaxed) {
            return Some(weighted / seconds);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_seen() {
        let sampler = Sampler::start(std::process::id());
        let ballast = vec![1u8; 64 << 20];
        std::thread::sleep(Duration::from_millis(60));
        assert!(ballast.iter().all(|byte| *byte == 1));
        let used = sampler.stop().expect("readable");
        assert!(used.peak_mb >= 64.0, "{used:?}");
        assert!(used.average_mb > 1.0 && used.average_mb <= used.peak_mb + 1.0, "{used:?}");
    }
}
