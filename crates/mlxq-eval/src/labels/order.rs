//! A model whose label names stand in the wrong order, found by its answers.

use std::fmt::Write;

/// Fewer rows than this say nothing of an order.
const ROWS: usize = 200;
/// By how much the best order must beat the one that the names give.
const GAIN: f64 = 0.10;
/// With more classes the table of counts is too wide for a message.
const TABLE_CLASSES: usize = 10;

/// Answers that fit the references much better under other names, or worse than chance under these.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspicion {
    /// Rows of each reference (outer) that were answered with each class (inner).
    pub counts: Vec<Vec<usize>>,
    /// Number of rows, with those answered with none of the classes.
    pub rows: usize,
    /// The share of right answers.
    pub accuracy: f64,
    /// For each predicted class the class that it should be, one to one, so that most rows are right.
    pub permutation: Vec<usize>,
    /// The share of right answers with `permutation`.
    pub best_accuracy: f64,
    /// Whether the answers are worse than guessing: below 1 / classes, beyond the 95 % bound of the
    /// score test.
    pub below_chance: bool,
}

/// Looks whether `predictions` (a class, or `None` for one that is not scored) suit `references` badly in
/// the order of the names: some permutation has more than 10 points more right on at least 200 rows, or
/// the answers are worse than chance. `None` if not. Nothing of this is ever applied: it is a warning.
///
/// The permutation is the optimal assignment by the Hungarian method (Kuhn 1955; the form with
/// potentials, cubic in the classes).
pub fn suspect_order(
    classes: usize,
    references: &[usize],
    predictions: &[Option<usize>],
) -> Option<Suspicion> {
    let rows = references.len().min(predictions.len());
    if classes < 2 || rows == 0 {
        return None;
    }
    let mut counts = vec![vec![0; classes]; classes];
    for (reference, prediction) in references.iter().zip(predictions) {
        if let (Some(row), Some(column)) = (counts.get_mut(*reference), prediction)
            && let Some(count) = row.get_mut(*column)
        {
            *count += 1;
        }
    }
    let share = |right: usize| right as f64 / rows as f64;
    let accuracy = share((0..classes).map(|class| counts[class][class]).sum());
    let permutation = best_permutation(&counts);
    let right = permutation.iter().enumerate().map(|(column, row)| counts[*row][column]);
    let best_accuracy = share(right.sum());
    let chance = 1.0 / classes as f64;
    let doubt = 1.96 * (chance * (1.0 - chance) / rows as f64).sqrt();
    let below_chance = accuracy < chance - doubt;
    let better = rows >= ROWS && best_accuracy - accuracy > GAIN;
    (better || below_chance).then_some(Suspicion {
        counts,
        rows,
        accuracy,
        permutation,
        best_accuracy,
        below_chance,
    })
}

impl Suspicion {
    /// The warning, with the table of counts below it: references down, answers across. `labels` are the
    /// classes' names.
    pub fn message(&self, labels: &[String]) -> String {
        let name = |class: usize| match labels.get(class) {
            Some(label) => format!("`{}`", label.escape_debug()),
            None => class.to_string(),
        };
        let mut text = format!(
            "{:.1} % of {} rows are right{}",
            100.0 * self.accuracy,
            self.rows,
            if self.below_chance { ", which is worse than chance" } else { "" },
        );
        let moved: Vec<String> = (0..self.permutation.len())
            .filter(|class| self.permutation[*class] != *class)
            .map(|class| format!("{} for {}", name(self.permutation[class]), name(class)))
            .collect();
        if !moved.is_empty() {
            let best = 100.0 * self.best_accuracy;
            let moved = moved.join(", ");
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "; {best:.1} % would be with {moved}: the label order of the model looks wrong \
                 (nothing was changed; `label_map` can say what its labels mean)"
            );
        }
        if self.counts.len() <= TABLE_CLASSES {
            text.push_str(&self.table(name));
        }
        text
    }

    fn table(&self, name: impl Fn(usize) -> String) -> String {
        let classes = 0..self.counts.len();
        let head: Vec<String> = classes.clone().map(&name).collect();
        let mut text = format!("\n  reference \\ answer: {}", head.join(" | "));
        for class in classes {
            let counts: Vec<String> = self.counts[class].iter().map(usize::to_string).collect();
            let _ = write!(text, "\n  {}: {}", name(class), counts.join(" | "));
        }
        text
    }
}

/// For each column of the square `counts` a row of its own, so that the sum is largest.
fn best_permutation(counts: &[Vec<usize>]) -> Vec<usize> {
    let size = counts.len();
    let cost = |row: usize, column: usize| -(counts[row - 1][column - 1] as i64);
    // Counted from 1; column 0 is the row that looks for a place.
    let (mut of_row, mut of_column) = (vec![0_i64; size + 1], vec![0_i64; size + 1]);
    let mut row_of = vec![0_usize; size + 1];
    for row in 1..=size {
        row_of[0] = row;
        let mut least = vec![i64::MAX; size + 1];
        let mut from = vec![0_usize; size + 1];
        let mut seen = vec![false; size + 1];
        let mut column = 0;
        while row_of[column] != 0 {
            seen[column] = true;
            let here = row_of[column];
            let (mut step, mut next) = (i64::MAX, 0);
            for other in (1..=size).filter(|other| !seen[*other]) {
                let slack = cost(here, other) - of_row[here] - of_column[other];
                if slack < least[other] {
                    (least[other], from[other]) = (slack, column);
                }
                if least[other] < step {
                    (step, next) = (least[other], other);
                }
            }
            for other in 0..=size {
                if seen[other] {
                    of_row[row_of[other]] += step;
                    of_column[other] -= step;
                } else {
                    least[other] = least[other].saturating_sub(step);
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[from[column]];
            column = from[column];
        }
    }
    row_of[1..].iter().map(|row| row - 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::SplitMix64;

    fn some(predictions: &[usize]) -> Vec<Option<usize>> {
        predictions.iter().map(|class| Some(*class)).collect()
    }

    /// The largest sum over all permutations of the columns, by trying each.
    fn largest(counts: &[Vec<usize>], column: usize, taken: &mut Vec<bool>) -> usize {
        if column == counts.len() {
            return 0;
        }
        let mut best = 0;
        for row in 0..counts.len() {
            if !taken[row] {
                taken[row] = true;
                best = best.max(counts[row][column] + largest(counts, column + 1, taken));
                taken[row] = false;
            }
        }
        best
    }

    #[test]
    fn the_assignment_is_the_best_of_all_permutations() {
        let mut random = SplitMix64::new(1);
        for size in 1..=6 {
            for _ in 0..50 {
                let mut row = || (0..size).map(|_| random.below(7)).collect::<Vec<_>>();
                let counts: Vec<Vec<usize>> = (0..size).map(|_| row()).collect();
                let found = best_permutation(&counts);
                let mut rows = found.clone();
                rows.sort_unstable();
                assert_eq!(rows, (0..size).collect::<Vec<_>>(), "{counts:?}");
                let sum: usize = found.iter().enumerate().map(|(c, r)| counts[*r][c]).sum();
                assert_eq!(sum, largest(&counts, 0, &mut vec![false; size]), "{counts:?}");
            }
        }
    }

    /// By hand: answers 0, 1, 2 stand for 1, 2, 0; one row in ten is wrong beyond that.
    #[test]
    fn a_turned_order_is_named() {
        let references: Vec<usize> = (0..300).map(|row| row % 3).collect();
        let turned = |row: usize| {
            if row < 30 { row % 3 } else { (row % 3 + 2) % 3 }
        };
        let predictions: Vec<usize> = (0..300).map(turned).collect();
        let found = suspect_order(3, &references, &some(&predictions)).expect("a suspicion");
        assert_eq!(found.permutation, [1, 2, 0]);
        assert_eq!((found.accuracy, found.best_accuracy, found.below_chance), (0.1, 0.9, true));
        assert_eq!(found.counts, [[10, 0, 90], [90, 10, 0], [0, 90, 10]]);
        let labels = ["entail\u{1b}ment", "neutral", "contradiction"].map(String::from);
        let message = found.message(&labels);
        for part in ["10.0 % of 300", "90.0 %", "`neutral` for `entail\\u{1b}ment`", "| 90"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!message.contains('\u{1b}'));
    }

    #[test]
    fn good_answers_few_rows_and_small_gains_raise_none() {
        let references: Vec<usize> = (0..200).map(|row| row % 2).collect();
        assert_eq!(suspect_order(2, &references, &some(&references)), None);
        // 91 of 200 right: the other order has 9 points more.
        let nearly: Vec<usize> =
            (0..200).map(|row| if row < 91 { row % 2 } else { 1 - row % 2 }).collect();
        assert_eq!(suspect_order(2, &references, &some(&nearly)), None);
        // 89 of 200: 11 points, and within the bounds of chance (100 ± 13.9).
        let less: Vec<usize> =
            (0..200).map(|row| if row < 89 { row % 2 } else { 1 - row % 2 }).collect();
        let found = suspect_order(2, &references, &some(&less)).expect("a suspicion");
        assert_eq!((found.permutation.as_slice(), found.below_chance), (&[1, 0][..], false));
        assert_eq!(suspect_order(2, &references[1..], &some(&less[1..])), None);
        // Answers outside the classes are wrong, and no order makes them right.
        let found = suspect_order(2, &references, &[None; 200]).expect("a suspicion");
        assert_eq!((found.best_accuracy, found.below_chance), (0.0, true));
        assert_eq!(suspect_order(1, &[0; 300], &[Some(0); 300]), None);
        assert_eq!(suspect_order(3, &[], &[]), None);
    }
}
