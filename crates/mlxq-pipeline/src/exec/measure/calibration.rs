//! A fixed piece of work between blocks: where its time changes, the machine has changed.

use std::hint::black_box;
use std::time::Instant;

use mlxq_eval::stats::SplitMix64;

/// Steps of the trials that find out how fast the machine is.
const TRIAL: u64 = 200_000;

/// Repeats one piece of work and keeps its times.
pub(super) struct Calibration {
    steps: u64,
    /// Milliseconds of each repetition.
    pub(super) milliseconds: Vec<f64>,
}

impl Calibration {
    /// Work that takes about `seconds` when nothing disturbs it: the fastest of five trials decides.
    pub(super) fn lasting(seconds: f64) -> Self {
        let trial = (0..5).map(|_| work(TRIAL)).fold(f64::INFINITY, f64::min).max(1e-9);
        let steps = (TRIAL as f64 * seconds / trial) as u64;
        Self { steps: steps.max(1), milliseconds: Vec::new() }
    }

    /// Does the work once.
    pub(super) fn run(&mut self) {
        let seconds = work(self.steps);
        self.milliseconds.push(seconds * 1e3);
    }
}

/// Seconds for `steps` steps of hashing integers on one thread.
fn work(steps: u64) -> f64 {
    let begun = Instant::now();
    let mut random = SplitMix64::new(black_box(steps));
    black_box((0..steps).fold(0, |all, _| all ^ random.next_u64()));
    begun.elapsed().as_secs_f64()
}
