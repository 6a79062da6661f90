//! The time of an open loop; tests have a clock of their own.

use std::time::{Duration, Instant};

/// The last part of a wait, which is not slept: the system wakes a sleeper late by some of it.
const AWAKE: f64 = 200e-6;

/// Seconds that only go forward.
pub(super) trait Clock {
    /// Seconds since some moment.
    fn now(&self) -> f64;

    /// Returns at `time` or, if that is past, at once.
    fn wait_until(&self, time: f64);
}

/// The system's monotonic clock.
pub(super) struct Monotonic(Instant);

impl Monotonic {
    /// Begins at 0.
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Monotonic {
    fn now(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn wait_until(&self, time: f64) {
        let asleep = time - AWAKE - self.now();
        if asleep > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(asleep));
        }
        while self.now() < time {
            std::hint::spin_loop();
        }
    }
}
