//! Whether the operations of a short text are worth sharing out, found on the texts that come.
//!
//! Hyperthreads of one core gain nothing, and neither do cores that others use, or threads that a system
//! wakes on one core. Trying it once at the start would tell how it is at that moment and with other work.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a trial shares texts out: a system may have woken threads on one core though another is idle
/// (virtual machines do), and takes up to a tenth of a second to part them if they go on.
const SHARED: Duration = Duration::from_millis(200);
/// Texts that a trial computes alone after that.
const ALONE: usize = 8;
/// Texts from one trial to the next, where sharing out pays and where it does not: what a trial costs is
/// little of the first, and others may have had the cores in the second.
const ROUNDS: [usize; 2] = [10_000, 1_000];
/// Times as fast from which on threads are not better left to others.
const WORTH_IT: f64 = 1.15;

/// Tries both ways now and then, and takes the better one in between.
#[derive(Debug, Default)]
pub(super) struct Sharing(Mutex<Trial>);

/// The least time for a token counts: of texts that are shared out before threads have parted, most take as long
/// as alone, and only the others tell what it gains.
#[derive(Debug)]
struct Trial {
    /// Time of the texts that were shared out.
    passed: Duration,
    /// Texts since then.
    texts: usize,
    /// The least seconds per token, shared out and alone.
    least: [f64; 2],
    /// What the last trial says.
    pays: bool,
}

impl Default for Trial {
    fn default() -> Self {
        Self { passed: Duration::ZERO, texts: 0, least: [f64::INFINITY; 2], pays: true }
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
        self.passed < SHARED || (self.pays && self.texts >= ALONE)
    }

    /// Takes a time down, and decides when it is the last of a trial.
    fn note(&mut self, time: Duration, tokens: usize) {
        let seconds = time.as_secs_f64() / tokens as f64;
        if self.passed < SHARED {
            self.passed += time;
            self.least[0] = self.least[0].min(seconds);
            return;
        }
        self.texts += 1;
        if self.texts <= ALONE {
            self.least[1] = self.least[1].min(seconds);
        }
        if self.texts == ALONE {
            self.pays = self.least[1] >= WORTH_IT * self.least[0];
        }
        if self.texts == ROUNDS[usize::from(!self.pays)] {
            *self = Self { pays: self.pays, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten tokens a millisecond alone, and `gain` times as many shared out, but for the first `slow` texts of
    /// a trial.
    fn after_a_trial(trial: &mut Trial, gain: f64, slow: usize) -> bool {
        let (mut shared, mut alone) = (0, 0);
        while trial.texts < ALONE {
            let gain = match trial.choose() {
                true if shared >= slow => gain,
                _ => 1.0,
            };
            *(if trial.choose() { &mut shared } else { &mut alone }) += 1;
            let tokens = 5 + shared % 7;
            trial.note(Duration::from_secs_f64(1e-4 * tokens as f64 / gain), tokens);
        }
        assert_eq!(alone, ALONE);
        trial.choose()
    }

    #[test]
    fn the_better_way_is_taken_until_the_next_trial() {
        let mut trial = Trial::default();
        assert!(after_a_trial(&mut trial, 1.8, 100));
        while trial.texts != 0 {
            assert!(trial.choose());
            trial.note(Duration::from_secs(1), 1);
        }
        assert!(!after_a_trial(&mut trial, 1.1, 0));
        let mut texts = ALONE;
        while trial.texts != 0 {
            assert!(!trial.choose());
            trial.note(Duration::from_secs(1), 1);
            texts += 1;
        }
        assert_eq!(texts, ROUNDS[1]);
    }
}
