//! Whether the operations of a short text are worth sharing out, found on the texts that come.
//!
//! Hyperthreads of one core gain nothing, and neither do cores that others use, or threads that a system
//! wakes on one core. Trying it once at the start would tell how it is at that moment and with other work.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Texts that are timed each way: first shared out, then alone.
const TIMED: usize = 8;
/// How long texts are shared out before: a system may have woken threads on one core though another is
/// idle (virtual machines do), and takes up to a tenth of a second to part them if they go on.
const PASSED: Duration = Duration::from_millis(200);
/// Texts from one trial to the next: what a trial costs is little of it.
const ROUND: usize = 10_000;
/// Times as fast from which on threads are not better left to others.
const WORTH_IT: f64 = 1.15;

/// Tries both ways now and then, and takes the better one in between.
#[derive(Debug, Default)]
pub(super) struct Sharing(Mutex<Trial>);

#[derive(Debug)]
struct Trial {
    /// Time of the texts that are not counted.
    passed: Duration,
    /// Texts since then.
    texts: usize,
    /// Seconds per token of the first ones: shared out, then alone.
    seconds: [f64; 2 * TIMED],
    /// What the last trial says.
    pays: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Self { passed: Duration::ZERO, texts: 0, seconds: [0.0; 2 * TIMED], pays: true }
    }
}

impl Sharing {
    /// Computes a text of so many `tokens` with `work`, which is told whether to share it out.
    pub(super) fn run<T>(&self, tokens: usize, work: impl FnOnce(bool) -> T) -> T {
        let trial = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = trial().choose();
        let start = Instant::now();
        let result = work(shared);
        trial().note(start.elapsed(), tokens);
        result
    }
}

impl Trial {
    /// Whether the next text is shared out.
    fn choose(&self) -> bool {
        self.texts < TIMED || (self.pays && self.texts >= 2 * TIMED)
    }

    /// Takes a time down, and decides when it is the last of a trial.
    fn note(&mut self, time: Duration, tokens: usize) {
        if self.passed < PASSED {
            self.passed += time;
            return;
        }
        if let Some(seconds) = self.seconds.get_mut(self.texts) {
            *seconds = time.as_secs_f64() / tokens as f64;
        }
        self.texts += 1;
        if self.texts == 2 * TIMED {
            let (shared, alone) = self.seconds.split_at_mut(TIMED);
            self.pays = median(alone) >= WORTH_IT * median(shared);
        }
        if self.texts == ROUND {
            *self = Self { pays: self.pays, ..Self::default() };
        }
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten tokens a millisecond alone, and `gain` times as many shared out.
    fn after_a_trial(trial: &mut Trial, gain: f64) -> bool {
        let mut alone = 0;
        while trial.texts < 2 * TIMED {
            let tokens = 5 + trial.texts % 7;
            let gain = if trial.choose() { gain } else { 1.0 };
            alone += usize::from(!trial.choose());
            trial.note(Duration::from_secs_f64(1e-4 * tokens as f64 / gain), tokens);
        }
        assert_eq!(alone, TIMED);
        trial.choose()
    }

    #[test]
    fn the_better_way_is_taken_until_the_next_trial() {
        let mut trial = Trial::default();
        assert!(after_a_trial(&mut trial, 1.8));
        while trial.texts != 0 {
            assert!(trial.choose());
            trial.note(Duration::from_secs(1), 1);
        }
        assert!(!after_a_trial(&mut trial, 1.1));
    }
}
