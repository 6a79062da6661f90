//! The drop of accuracy, or of the task's own figure: non-inferiority.

use super::{Gate, Verdict, at_most};
use crate::metric::Confusion;
use crate::stats::{Drop, smallest_drop, smallest_margin, wilson};

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
        DropEvidence::Accuracy(Drop { rows: 0, .. }) => {
            return Gate::without_data(
                NAME,
                Some(margin),
                Verdict::NotMeasured,
                "there are no rows",
            );
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
    let verdict = at_most(margin, (low, high));
    let mut description = format!(
        "drop {:+.3} pp ({basis}), 95 % bounds {:+.3} to {:+.3} pp, allowed {:.3} pp",
        value * 100.0,
        low * 100.0,
        high * 100.0,
        margin * 100.0
    );
    if let DropEvidence::Accuracy(drop) = evidence {
        if verdict == Verdict::Inconclusive && margin > 0.0 {
            let rows = drop.rows_needed(margin);
            description.push_str(&format!("; about {rows} rows would settle it"));
        }
        description.push_str(&power(drop));
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

/// What so many rows of which so many flip can show at all, in words.
fn power(drop: &Drop) -> String {
    let points = |value: Option<f64>| {
        value.map_or("none".to_owned(), |value| format!("{:.2} pp", value * 100.0))
    };
    format!(
        "; with so many rows and flips, in 80 % of cases, the smallest drop that shows is {}, and the \
         smallest limit that an unchanged model passes is {}",
        points(smallest_drop(drop.rows, drop.flips())),
        points(smallest_margin(drop.rows, drop.flips()))
    )
}

/// Why a baseline with these answers is nothing to compare with, in words, if it is not: even the upper
/// end of its accuracy's 95 % interval (Wilson) is below that of always saying the most frequent class.
/// Then data and model do not fit, and a drop from there says nothing.
pub fn worse_than_majority(baseline: &Confusion) -> Option<String> {
    let (rows, most) = (baseline.rows(), most_frequent(baseline)?);
    let (_, high) = wilson(baseline.right(), rows);
    (high < most as f64 / rows as f64).then(|| {
        format!(
            "the baseline is right on {} of {rows} rows, fewer than the {most} of always giving the most \
             frequent label: labels and model do not fit",
            baseline.right()
        )
    })
}

/// Why a baseline with these answers shows little, in words, if it does: always saying the most frequent
/// class would be right as often, as far as the 95 % interval (Wilson) of its accuracy tells, or more often.
pub fn no_better_than_majority(baseline: &Confusion) -> Option<String> {
    if let Some(worse) = worse_than_majority(baseline) {
        return Some(worse);
    }
    let (rows, most) = (baseline.rows(), most_frequent(baseline)?);
    let (low, high) = wilson(baseline.right(), rows);
    (low <= most as f64 / rows as f64).then(|| {
        format!(
            "the baseline is right on {} of {rows} rows (95 % interval {:.1} to {:.1} %), no clear \
             gain over always giving the most frequent label, which is right on {most}: what it loses \
             says little",
            baseline.right(),
            low * 100.0,
            high * 100.0
        )
    })
}

/// Rows of the most frequent class; `None` where there are no rows.
fn most_frequent(baseline: &Confusion) -> Option<usize> {
    let most = (0..baseline.classes()).map(|class| baseline.referenced(class)).max()?;
    (baseline.rows() > 0).then_some(most)
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

    /// The table of exact trinomial sums that the power is tested with: 872 rows, 2 % of flips.
    #[test]
    fn the_words_say_what_the_rows_can_show() {
        let words = accuracy_of(9, 8, 872, 0.01).description;
        assert!(words.contains("smallest drop that shows is 1.1"), "{words}");
        assert!(words.contains("an unchanged model passes is 1.2"), "{words}");
    }

    #[test]
    fn no_rows_and_no_numbers_never_pass() {
        let none = DropEvidence::None("no rows".to_owned());
        assert_eq!(accuracy(&none, Some(0.01)).verdict, Verdict::NotMeasured);
        assert_eq!(accuracy(&none, None).verdict, Verdict::NotSet);
        assert_eq!(accuracy_of(0, 0, 0, 0.01).verdict, Verdict::NotMeasured);
        let nan = DropEvidence::Resampled {
            drop: f64::NAN,
            bounds: (f64::NAN, f64::NAN),
            rows: 3,
            resamples: 10_000,
        };
        let gate = accuracy(&nan, Some(0.01));
        assert_eq!((gate.verdict, gate.point_passed), (Verdict::NotMeasured, false));
    }

    /// Answers to 100 rows of three classes, 40, 30 and 30, the first `right` of them right.
    fn answers(right: usize) -> Confusion {
        let references: Vec<usize> =
            (0..100).map(|row| usize::from(row >= 40) + usize::from(row >= 70)).collect();
        let say = |(row, class): (usize, &usize)| {
            Some(if row < right { *class } else { (class + 1) % 3 })
        };
        let said: Vec<Option<usize>> = references.iter().enumerate().map(say).collect();
        Confusion::count(3, &references, &said)
    }

    /// Three labels of an inference model in another order than the data's: 4 % are right, by chance 40 %.
    #[test]
    fn a_baseline_below_the_majority_is_nothing_to_compare_with() {
        let words = worse_than_majority(&answers(4)).expect("worse");
        assert!(words.contains("right on 4 of 100 rows, fewer than the 40"), "{words}");
        // Wilson's interval of 35 of 100 reaches 0.447.
        assert_eq!(worse_than_majority(&answers(35)), None);
        assert_eq!(worse_than_majority(&Confusion::count(3, &[], &[])), None);
    }

    /// Wilson's intervals by hand: 49 of 100 is 0.394 to 0.587, 50 of 100 begins at 0.404.
    #[test]
    fn a_baseline_close_to_the_majority_shows_little() {
        let words = no_better_than_majority(&answers(49)).expect("within the interval");
        assert!(
            words.contains("right on 49 of 100 rows (95 % interval 39.4 to 58.7 %)"),
            "{words}"
        );
        assert!(words.contains("which is right on 40"), "{words}");
        assert_eq!(no_better_than_majority(&answers(50)), None);
        assert_eq!(no_better_than_majority(&answers(4)), worse_than_majority(&answers(4)));
        assert_eq!(no_better_than_majority(&Confusion::count(3, &[], &[])), None);
    }
}
