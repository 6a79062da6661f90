//! Classes: counts of what was said against what is right.

/// Counts of `[reference, prediction]`.
///
/// A prediction outside the classes is wrong and no class of its own: it lowers the recall of its
/// reference and the precision of none. The figures are scikit-learn's of the same labels, where such
/// predictions are a label that `f1_score(labels=…)` does not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[classes, classes + 1]`, row by row; the last column counts predictions outside.
    counts: Vec<usize>,
}

impl Confusion {
    /// Counts pairs. References must be below `classes`; predictions that are not count as outside.
    ///
    /// # Panics
    /// When a reference is not a class.
    pub fn count(classes: usize, references: &[usize], predictions: &[Option<usize>]) -> Self {
        let mut counts = vec![0; classes * (classes + 1)];
        for (reference, prediction) in references.iter().zip(predictions) {
            assert!(*reference < classes, "a reference is one of the classes");
            let column = prediction.filter(|class| *class < classes).unwrap_or(classes);
            counts[reference * (classes + 1) + column] += 1;
        }
        Self { classes, counts }
    }

    /// The counts, `[reference, prediction]`; the last column counts predictions outside the classes.
    pub fn counts(&self) -> impl Iterator<Item = &[usize]> {
        self.counts.chunks(self.classes + 1)
    }

    /// Rows counted.
    pub fn rows(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Rows whose reference is `class`.
    pub fn referenced(&self, class: usize) -> usize {
        self.counts[class * (self.classes + 1)..][..=self.classes].iter().sum()
    }

    /// Rows for which `class` was predicted; `classes` for those outside.
    fn predicted(&self, class: usize) -> usize {
        self.counts().map(|row| row[class]).sum()
    }

    /// Rows of `class` that are right.
    fn hits(&self, class: usize) -> usize {
        self.counts[class * (self.classes + 1) + class]
    }

    fn right(&self) -> usize {
        (0..self.classes).map(|class| self.hits(class)).sum()
    }

    /// Share of right rows; `None` for no rows.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(self.right(), self.rows())
    }

    /// Mean recall of the classes that are referenced (`balanced_accuracy_score`); `None` for no rows.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        mean((0..self.classes).filter_map(|class| ratio(self.hits(class), self.referenced(class))))
    }

    /// `2 hits / (referenced + predicted)` of `class` (`f1_score`); `None` where it is neither, for
    /// which scikit-learn says 0 with a warning.
    pub fn f1(&self, class: usize) -> Option<f64> {
        ratio(2 * self.hits(class), self.referenced(class) + self.predicted(class))
    }

    /// Mean [`Self::f1`] of the classes that are referenced or predicted
    /// (`f1_score(average="macro")`); `None` for no rows.
    pub fn macro_f1(&self) -> Option<f64> {
        mean((0..self.classes).filter_map(|class| self.f1(class)))
    }

    /// F1 of all classes together (`f1_score(average="micro")`): the accuracy where every prediction is
    /// a class; `None` for no rows.
    pub fn micro_f1(&self) -> Option<f64> {
        let inside: usize = (0..self.classes).map(|class| self.predicted(class)).sum();
        ratio(2 * self.right(), self.rows() + inside)
    }

    /// Matthews' correlation of several classes (`matthews_corrcoef`; Gorodkin 2004):
    /// `(c s - sum p t) / sqrt((s^2 - sum p^2) (s^2 - sum t^2))` with `s` rows, `c` right, and `p` and
    /// `t` how often each class is predicted and referenced. 0 where references or predictions are all of
    /// one class, as in scikit-learn; `None` for no rows.
    pub fn matthews(&self) -> Option<f64> {
        let rows = self.rows() as f64;
        let right = self.right() as f64;
        let (mut both, mut predicted, mut referenced) = (0.0, 0.0, 0.0);
        for class in 0..=self.classes {
            let p = self.predicted(class) as f64;
            let t = if class < self.classes { self.referenced(class) as f64 } else { 0.0 };
            both += p * t;
            predicted += p * p;
            referenced += t * t;
        }
        let spread = (rows * rows - predicted) * (rows * rows - referenced);
        let value = if spread > 0.0 { (right * rows - both) / spread.sqrt() } else { 0.0 };
        (rows > 0.0).then_some(value)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// Share of equal pairs; `None` for none.
pub fn accuracy(predictions: &[usize], references: &[usize]) -> Option<f64> {
    let right = predictions.iter().zip(references).filter(|(a, b)| a == b).count();
    ratio(right, references.len())
}

/// How the predicted classes of a row compare with its right ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hits {
    /// Predicted and right.
    pub hit: usize,
    /// Predicted and wrong.
    pub wrong: usize,
    /// Right and not predicted.
    pub missed: usize,
}

impl Hits {
    /// Counts them in two lists without repetitions.
    pub fn count(predicted: &[usize], right: &[usize]) -> Self {
        let hit = predicted.iter().filter(|class| right.contains(class)).count();
        Self { hit, wrong: predicted.len() - hit, missed: right.len() - hit }
    }
}

/// F1 over all classes of all rows together: `2 hit / (2 hit + wrong + missed)`, as scikit-learn's
/// `f1_score(average="micro")` counts; `None` where nothing is predicted and nothing is right.
pub fn micro_f1(rows: impl IntoIterator<Item = Hits>) -> Option<f64> {
    let (mut hit, mut others) = (0, 0);
    for row in rows {
        hit += row.hit;
        others += row.wrong + row.missed;
    }
    ratio(2 * hit, 2 * hit + others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::ranking::tests::close;

    fn confusion(classes: usize, references: &[usize], predictions: &[usize]) -> Confusion {
        let predictions: Vec<_> = predictions.iter().map(|class| Some(*class)).collect();
        Confusion::count(classes, references, &predictions)
    }

    /// scikit-learn 1.9: matthews_corrcoef, f1_score, balanced_accuracy_score.
    #[test]
    fn figures_of_classes_agree_with_scikit_learn() {
        let three = confusion(
            3,
            &[0, 1, 1, 0, 1, 2, 2, 0, 1, 2, 1, 0],
            &[0, 1, 0, 0, 1, 2, 1, 0, 2, 2, 1, 1],
        );
        close(three.matthews(), 0.489_361_702_1);
        close(three.macro_f1(), 0.672_222_222_2);
        close(three.balanced_accuracy(), 0.672_222_222_2);
        let two = confusion(2, &[1, 1, 1, 0, 0, 0, 1, 0, 1, 0], &[1, 0, 1, 0, 1, 0, 1, 0, 1, 1]);
        close(two.matthews(), 0.408_248_290_5);
        close(two.f1(1), 0.727_272_727_3);
        close(two.micro_f1(), 0.7);
        assert_eq!(two.counts().flatten().copied().collect::<Vec<_>>(), [3, 2, 0, 1, 4, 0]);
    }

    /// By hand: of four rows one is outside; F1 of class 0 is 2/4, of class 1 2/3, micro 4 / (4 + 3).
    #[test]
    fn predictions_outside_are_wrong_and_no_class() {
        let some = Confusion::count(2, &[0, 0, 1, 1], &[Some(0), None, Some(1), Some(0)]);
        assert_eq!(some.accuracy(), Some(0.5));
        close(some.f1(0), 0.5);
        close(some.f1(1), 2.0 / 3.0);
        close(some.macro_f1(), (0.5 + 2.0 / 3.0) / 2.0);
        close(some.micro_f1(), 4.0 / 7.0);
        assert_eq!(some, Confusion::count(2, &[0, 0, 1, 1], &[Some(0), Some(7), Some(1), Some(0)]));
    }

    /// scikit-learn 1.9 says 0 for the correlation and leaves absent classes out of the means.
    #[test]
    fn one_class_and_no_rows() {
        let one = confusion(3, &[1, 1], &[1, 1]);
        assert_eq!((one.matthews(), one.macro_f1()), (Some(0.0), Some(1.0)));
        assert_eq!((one.balanced_accuracy(), one.f1(0)), (Some(1.0), None));
        let none = confusion(2, &[], &[]);
        assert_eq!([none.accuracy(), none.balanced_accuracy(), none.macro_f1()], [None; 3]);
        assert_eq!([none.micro_f1(), none.matthews(), none.f1(1)], [None; 3]);
    }

    /// scikit-learn 1.9: `f1_score(average="micro")` of five rows and three classes.
    #[test]
    fn micro_f1_agrees_with_scikit_learn() {
        let right: [&[usize]; 5] = [&[0, 2], &[], &[1], &[0, 1], &[2]];
        let predicted: [&[usize]; 5] = [&[0], &[1], &[1], &[0, 2], &[2]];
        let hits = |(p, r): (&&[usize], &&[usize])| Hits::count(p, r);
        close(micro_f1(predicted.iter().zip(&right).map(hits)), 0.666_666_666_666_666_6);
        assert_eq!(micro_f1([Hits::default()]), None);
    }

    #[test]
    fn accuracy_counts_equal_pairs() {
        assert_eq!(accuracy(&[1, 0, 2, 2], &[1, 1, 2, 0]), Some(0.5));
        assert_eq!(accuracy(&[], &[]), None);
    }
}
