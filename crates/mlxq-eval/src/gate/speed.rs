//! How many times as fast as the baseline.

use super::{Gate, Verdict, at_least};
use crate::stats::LogRatio;

/// Times of paired blocks, or why there are none.
#[derive(Debug, Clone, PartialEq)]
pub enum SpeedEvidence {
    /// Measured in this run: ratios of the pairs, and the shorter side's seconds.
    Measured {
        /// Converted over baseline, pair by pair.
        ratio: LogRatio,
        /// Seconds measured on the side with less.
        seconds: f64,
    },
    /// Only from an earlier run.
    Cached,
    /// Not measured, or not validly, and why.
    None(String),
}

/// Pairs of blocks, and seconds on each side, below which nothing is decided about speed.
const FEWEST_PAIRS: usize = 10;
const LEAST_SECONDS: f64 = 60.0;

/// The converted model must be at least `target` times as fast as the baseline.
pub fn speed(evidence: &SpeedEvidence, target: f64) -> Gate {
    const NAME: &str = "speed";
    let none = |why: &str| Gate::without_data(NAME, Some(target), Verdict::NotMeasured, why);
    let (ratio, seconds) = match evidence {
        SpeedEvidence::Measured { ratio, seconds } => (ratio, seconds),
        SpeedEvidence::Cached => return none("the baseline's times are from an earlier run"),
        SpeedEvidence::None(why) => return none(why),
    };
    let (low, high) = ratio.bounds();
    let is_short = ratio.pairs() < FEWEST_PAIRS || seconds.is_nan() || *seconds < LEAST_SECONDS;
    let verdict = if is_short { Verdict::Inconclusive } else { at_least(target, (low, high)) };
    let mut description = format!(
        "{:.3} x PyTorch ({} pairs of blocks, {seconds:.0} s a side), 95 % bounds {low:.3} to {high:.3}, wanted {target}",
        ratio.value(),
        ratio.pairs()
    );
    if is_short {
        description.push_str(&format!(
            "; too short to decide: {FEWEST_PAIRS} pairs and {LEAST_SECONDS} s a side are needed"
        ));
    }
    let value = ratio.value();
    Gate {
        name: NAME,
        verdict,
        value: Some(value),
        threshold: Some(target),
        point_passed: value >= target,
        description,
    }
}

/// A model beside itself: the two-sided 95 % interval of its speed ratio should hold 1. There is no speed to
/// judge, so the gate is not set; where 1 is outside, which chance alone does once in 20 times, it is
/// inconclusive, and it never fails.
pub fn speed_of_itself(evidence: &SpeedEvidence) -> Gate {
    const NAME: &str = "speed";
    let none = |why: &str| Gate::without_data(NAME, None, Verdict::NotMeasured, why);
    let (ratio, seconds) = match evidence {
        SpeedEvidence::Measured { ratio, seconds } => (ratio, seconds),
        SpeedEvidence::Cached => return none("the times are from an earlier run"),
        SpeedEvidence::None(why) => return none(why),
    };
    let (low, high) = ratio.two_sided();
    let holds = low <= 1.0 && 1.0 <= high;
    let (verdict, remark) = match holds {
        true => (Verdict::NotSet, "it holds 1"),
        false => (
            Verdict::Inconclusive,
            "1 is outside, as happens by chance once in 20 times; if it happens again, this machine's \
             ratios are off by that much",
        ),
    };
    Gate {
        name: NAME,
        verdict,
        value: Some(ratio.value()),
        threshold: None,
        point_passed: holds,
        description: format!(
            "{:.3} x itself ({} pairs of blocks, {seconds:.0} s a side), 95 % interval {low:.3} to \
             {high:.3}: {remark}",
            ratio.value(),
            ratio.pairs()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The interval of the ratios of statistics worked by hand: logarithms 0.01 and -0.01 in turn have the
    /// mean 0, so 1 is inside; moved by 0.1 it is outside. Neither is a fail.
    #[test]
    fn a_model_beside_itself_never_fails() {
        let verdict = |shift: f64| {
            let ratios: Vec<f64> =
                (0..10).map(|n| (shift + if n % 2 == 0 { 0.01 } else { -0.01 }).exp()).collect();
            let ratio = LogRatio::new(&ratios).expect("ratios");
            speed_of_itself(&SpeedEvidence::Measured { ratio, seconds: 10.0 })
        };
        assert_eq!((verdict(0.0).verdict, verdict(0.0).point_passed), (Verdict::NotSet, true));
        assert_eq!(
            (verdict(0.1).verdict, verdict(0.1).point_passed),
            (Verdict::Inconclusive, false)
        );
        assert_eq!(verdict(-0.1).verdict, Verdict::Inconclusive);
        let noisy = SpeedEvidence::None("the machine was noisy".to_owned());
        assert_eq!(speed_of_itself(&noisy).verdict, Verdict::NotMeasured);
    }

    #[test]
    fn times_that_are_missing_or_old_never_pass() {
        assert_eq!(speed(&SpeedEvidence::Cached, 1.2).verdict, Verdict::NotMeasured);
        let why = SpeedEvidence::None("no PyTorch".to_owned());
        assert_eq!(speed(&why, 1.2).verdict, Verdict::NotMeasured);
        assert!(!speed(&why, 1.2).point_passed);
    }

    /// Pairs whose mean is about 1.25 and whose bounds are less than 0.01 away.
    #[test]
    fn speed_needs_its_bound_above_the_target_and_a_run_of_some_length() {
        let ratios = [1.25, 1.26, 1.24, 1.255, 1.245, 1.25, 1.26, 1.24, 1.255, 1.245];
        let verdict = |pairs: usize, seconds, target| {
            let ratio = LogRatio::new(&ratios[..pairs]).expect("ratios");
            speed(&SpeedEvidence::Measured { ratio, seconds }, target).verdict
        };
        assert_eq!(verdict(10, 60.0, 1.2), Verdict::Pass);
        assert_eq!(verdict(10, 60.0, 1.25), Verdict::Inconclusive);
        assert_eq!(verdict(10, 60.0, 1.3), Verdict::Fail);
        assert_eq!(verdict(10, 59.0, 1.2), Verdict::Inconclusive);
        assert_eq!(verdict(9, 60.0, 1.2), Verdict::Inconclusive);
        assert_eq!(verdict(10, 59.0, 1.3), Verdict::Inconclusive);
    }
}
