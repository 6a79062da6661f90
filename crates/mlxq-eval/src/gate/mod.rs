//! Gates: a comparison against a threshold, judged with its uncertainty, in words.

use crate::stats::{Drop, LogRatio};

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
    /// `accuracy`, `speed` or `size`.
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

/// The drop of the primary figure and its one-sided 95 % bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum DropEvidence {
    /// Of accuracy, on paired rows.
    Accuracy(Drop),
    /// Of a figure without a formula: the drop, its bounds, the rows and the resamples behind them.
    Resampled {
        /// Baseline minus converted.
        drop: f64,
        /// One-sided 95 % bounds.
        bounds: (f64, f64),
        /// Rows.
        rows: usize,
        /// Bootstrap resamples.
        resamples: usize,
    },
    /// None, and why.
    None(String),
}

/// The drop must not exceed `margin`: non-inferiority, judged by the one-sided 95 % bounds.
pub fn accuracy(evidence: &DropEvidence, margin: Option<f64>) -> Gate {
    const NAME: &str = "accuracy";
    let Some(margin) = margin else {
        return Gate::without_data(NAME, None, Verdict::NotSet, "no largest drop is set");
    };
    let (value, (low, high), basis) = match evidence {
        DropEvidence::None(why) => {
            return Gate::without_data(NAME, Some(margin), Verdict::NotMeasured, why);
        }
        DropEvidence::Accuracy(drop) => {
            let Drop { lost, gained, rows } = drop;
            let basis = format!("{lost} lost, {gained} gained of {rows} rows");
            (drop.value(), drop.bounds(), basis)
        }
        DropEvidence::Resampled { drop, bounds, rows, resamples } => {
            (*drop, *bounds, format!("{rows} rows, {resamples} resamples"))
        }
    };
    let verdict = if high <= margin {
        Verdict::Pass
    } else if low > margin {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    };
    let mut description = format!(
        "drop {:+.3} pp ({basis}), 95 % bounds {:+.3} to {:+.3} pp, allowed {:.3} pp",
        value * 100.0,
        low * 100.0,
        high * 100.0,
        margin * 100.0
    );
    if let (Verdict::Inconclusive, DropEvidence::Accuracy(drop)) = (verdict, evidence)
        && margin > 0.0
    {
        description.push_str(&format!("; about {} rows would settle it", drop.rows_needed(margin)));
    }
    let point_passed = match evidence {
        DropEvidence::Accuracy(drop) => within_margin(*drop, margin),
        _ => value <= margin,
    };
    Gate {
        name: NAME,
        verdict,
        value: Some(value),
        threshold: Some(margin),
        point_passed,
        description,
    }
}

/// `lost - gained <= margin * rows` in integers: 0.015 of 200 rows are exactly 3, not 2.9999.
fn within_margin(drop: Drop, margin: f64) -> bool {
    // A margin is written with a few decimals; its shortest text gives back what was meant.
    let text = margin.to_string();
    let decimals = text.split_once('.').map_or(0, |(_, rest)| rest.len());
    let Some((digits, scale)) =
        text.replace('.', "").parse::<i128>().ok().zip(10i128.checked_pow(decimals as u32))
    else {
        return drop.value() <= margin;
    };
    (drop.lost as i128 - drop.gained as i128) * scale <= digits * drop.rows as i128
}

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
    let is_short = ratio.pairs() < FEWEST_PAIRS || *seconds < LEAST_SECONDS;
    let verdict = if is_short {
        Verdict::Inconclusive
    } else if low >= target {
        Verdict::Pass
    } else if high < target {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    };
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

/// Which sizes are within a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SizeRule {
    /// From 0.9 to 1.1 times the target.
    #[default]
    Within,
    /// Up to 1.1 times the target.
    Max,
}

/// The folder's size in MiB must meet the target; `expected` is what its tensors take by arithmetic.
pub fn size(size_mb: f64, target_mb: Option<f64>, rule: SizeRule, expected: &str) -> Gate {
    const NAME: &str = "size";
    let Some(target) = target_mb else {
        let why = format!("{size_mb:.2} MB; no target is set");
        return Gate {
            value: Some(size_mb),
            ..Gate::without_data(NAME, None, Verdict::NotSet, &why)
        };
    };
    let percent = (size_mb / target - 1.0) * 100.0;
    let too_large = size_mb > 1.1 * target;
    let too_small = size_mb < 0.9 * target && rule == SizeRule::Within;
    let verdict = if too_large || too_small { Verdict::Fail } else { Verdict::Pass };
    let mut description = format!("{size_mb:.2} MB, {percent:+.1} % of the target {target} MB");
    if too_small {
        description.push_str(&format!("; smaller than the target, which may be wrong: {expected}"));
    } else if too_large {
        description.push_str(&format!("; {expected}"));
    }
    Gate {
        name: NAME,
        verdict,
        value: Some(size_mb),
        threshold: Some(target),
        point_passed: verdict == Verdict::Pass,
        description,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accuracy_of(lost: usize, gained: usize, rows: usize, margin: f64) -> Gate {
        accuracy(&DropEvidence::Accuracy(Drop { lost, gained, rows }), Some(margin))
    }

    /// The bounds are those of the Tango interval tested beside it.
    #[test]
    fn accuracy_needs_its_bound_inside_the_margin() {
        assert_eq!(accuracy_of(120, 80, 9815, 0.015).verdict, Verdict::Pass);
        assert_eq!(accuracy_of(60, 35, 1500, 0.015).verdict, Verdict::Inconclusive);
        assert_eq!(accuracy_of(60, 35, 1500, 0.006).verdict, Verdict::Fail);
        let open = accuracy_of(60, 35, 1500, 0.015).description;
        assert!(open.contains("60 lost, 35 gained of 1500 rows"), "{open}");
        assert!(open.contains("rows would settle it"), "{open}");
    }

    #[test]
    fn the_point_rule_counts_in_integers() {
        assert!(accuracy_of(3, 0, 200, 0.015).point_passed);
        assert!(!accuracy_of(4, 0, 200, 0.015).point_passed);
        assert!(accuracy_of(0, 5, 200, 0.0).point_passed);
    }

    #[test]
    fn missing_data_never_passes() {
        let none = DropEvidence::None("no rows".to_owned());
        assert_eq!(accuracy(&none, Some(0.01)).verdict, Verdict::NotMeasured);
        assert_eq!(speed(&SpeedEvidence::Cached, 1.2).verdict, Verdict::NotMeasured);
        let why = SpeedEvidence::None("no PyTorch".to_owned());
        assert_eq!(speed(&why, 1.2).verdict, Verdict::NotMeasured);
        assert!(!speed(&why, 1.2).point_passed);
        assert_eq!(Verdict::of_all([]), Verdict::NotMeasured);
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

    #[test]
    fn sizes_are_held_against_both_ends() {
        let verdict = |size, rule| super::size(size, Some(40.0), rule, "23 MB").verdict;
        assert_eq!(verdict(36.1, SizeRule::Within), Verdict::Pass);
        assert_eq!(verdict(35.9, SizeRule::Within), Verdict::Fail);
        assert_eq!(verdict(35.9, SizeRule::Max), Verdict::Pass);
        assert_eq!(verdict(44.1, SizeRule::Max), Verdict::Fail);
        assert_eq!(super::size(1.0, None, SizeRule::Within, "").verdict, Verdict::NotSet);
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
