//! Gates: a comparison against a threshold, judged with its uncertainty, in words.
//!
//! Every gate is a function of what was measured, or of the reason why there is nothing, and of what was
//! asked for. What was not asked for is "not set"; what was asked for and cannot be judged never passes.

mod accuracy;
mod faithful;
mod limit;
mod size;
mod speed;

pub use accuracy::{DropEvidence, accuracy, no_better_than_majority, worse_than_majority};
pub use faithful::{agreement, kl};
pub use limit::{memory, p99};
pub use size::{SIZE_TOLERANCE, SizeRule, size};
pub use speed::{SpeedEvidence, speed, speed_of_itself};

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The rule holds, beyond doubt.
    Pass,
    /// No rule was asked for.
    NotSet,
    /// The data cannot decide.
    Inconclusive,
    /// There is no valid data.
    NotMeasured,
    /// The rule is broken, beyond doubt.
    Fail,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::NotSet => "not set",
            Self::Inconclusive => "inconclusive",
            Self::NotMeasured => "not measured",
            Self::Fail => "fail",
        }
    }

    /// Of several gates: one failure fails; one open question leaves all open; none at all is none.
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::NotMeasured)
    }
}

/// One gate's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// `accuracy`, `speed`, `size`, `p99`, `memory`, `agreement` or `kl`.
    pub name: &'static str,
    /// What it says.
    pub verdict: Verdict,
    /// The figure judged; `None` if there is none.
    pub value: Option<f64>,
    /// What it is held against; `None` if nothing was asked for.
    pub threshold: Option<f64>,
    /// Whether the figure itself, without its uncertainty, meets the threshold.
    pub point_passed: bool,
    /// The rule and its numbers in words.
    pub description: String,
}

impl Gate {
    fn without_data(
        name: &'static str,
        threshold: Option<f64>,
        verdict: Verdict,
        why: &str,
    ) -> Self {
        let description = why.to_owned();
        Self { name, verdict, value: None, threshold, point_passed: false, description }
    }
}

/// Whether a figure that should be at most `limit` is, by its one-sided 95 % bounds.
fn at_most(limit: f64, (low, high): (f64, f64)) -> Verdict {
    if low.is_nan() || high.is_nan() {
        Verdict::NotMeasured
    } else if high <= limit {
        Verdict::Pass
    } else if low > limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

/// Whether a figure that should be at least `limit` is.
fn at_least(limit: f64, (low, high): (f64, f64)) -> Verdict {
    if low.is_nan() || high.is_nan() {
        Verdict::NotMeasured
    } else if low >= limit {
        Verdict::Pass
    } else if high < limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_passes_nothing() {
        let nothing = (f64::NAN, f64::NAN);
        assert_eq!([at_most(1.0, nothing), at_least(1.0, nothing)], [Verdict::NotMeasured; 2]);
        assert_eq!(at_most(1.0, (0.5, 1.0)), Verdict::Pass);
        assert_eq!(at_least(1.0, (1.0, 1.5)), Verdict::Pass);
        assert_eq!(at_least(1.0, (0.5, 0.9)), Verdict::Fail);
        assert_eq!(at_most(1.0, (0.5, 1.1)), Verdict::Inconclusive);
    }

    #[test]
    fn one_failure_fails_and_one_doubt_leaves_open() {
        use Verdict::{Fail, Inconclusive, NotMeasured, NotSet, Pass};
        assert_eq!(Verdict::of_all([Pass, Fail, Inconclusive]), Fail);
        assert_eq!(Verdict::of_all([Pass, Inconclusive]), Inconclusive);
        assert_eq!(Verdict::of_all([NotMeasured, Pass]), NotMeasured);
        assert_eq!(Verdict::of_all([Pass, Pass]), Pass);
        assert_eq!(Verdict::of_all([Pass, NotSet]), NotSet);
    }
}
