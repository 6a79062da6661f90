//! Two sides on the same rows: figures with intervals, the drop, McNemar, flips.

use mlxq_eval::gate::DropEvidence;
use mlxq_eval::metric::Metric;
use mlxq_eval::stats::{Drop, McNemar, wilson};

use super::figure::{figure, is_share, right};
use super::resample::{RESAMPLES, Resampled, SEED};
use super::{Case, Figure, Side, fidelity, sample};
use crate::record::{Estimate, Flips, McNemarTest, Pair, PairedFigure};
use crate::task::References;

/// One figure of all sides, and what its doubt is counted by.
pub(super) struct Measured {
    pub(super) metric: Metric,
    /// `[sides]`.
    pub(super) values: Vec<f64>,
    rows: usize,
    doubt: Doubt,
}

enum Doubt {
    /// Which rows are right, `[sides][rows]`.
    Counted(Vec<Vec<bool>>),
    Resampled(Resampled),
}

impl Measured {
    /// `None` where the figure is undefined on a side.
    pub(super) fn of(metric: Metric, references: &References, sides: &[Side]) -> Option<Self> {
        let rows = references.count();
        let all: Vec<usize> = (0..rows).collect();
        let figures = sides.iter().map(|side| figure(metric, side.answers, references));
        let figures: Vec<Figure> = figures.collect::<Option<_>>()?;
        let values = figures.iter().map(|figure| figure(&all)).collect::<Option<_>>()?;
        let doubt = if is_share(metric) {
            let sides = sides.iter().map(|side| right(side.answers, references));
            Doubt::Counted(sides.collect::<Option<_>>()?)
        } else {
            Doubt::Resampled(Resampled::draw(&figures, rows, RESAMPLES, SEED))
        };
        Some(Self { metric, values, rows, doubt })
    }

    /// What a gate judges of the drop from one side to another.
    pub(super) fn evidence(&self, [from, to]: [usize; 2]) -> DropEvidence {
        match &self.doubt {
            Doubt::Counted(right) => DropEvidence::Accuracy(Drop::count(&right[from], &right[to])),
            Doubt::Resampled(resampled) => match resampled.drop(from, to) {
                Some(([low, high], _)) => DropEvidence::Resampled {
                    drop: self.values[from] - self.values[to],
                    bounds: (low, high),
                    rows: self.rows,
                    resamples: RESAMPLES,
                },
                None => DropEvidence::None(UNDEFINED.to_owned()),
            },
        }
    }

    fn estimate(&self, side: usize) -> Estimate {
        let interval_95 = match &self.doubt {
            Doubt::Counted(right) => Some(share_interval(&right[side])),
            Doubt::Resampled(resampled) => resampled.interval(side),
        };
        Estimate { value: self.values[side], interval_95 }
    }

    fn paired(&self, [from, to]: [usize; 2]) -> PairedFigure {
        let (bounds, method) = match &self.doubt {
            Doubt::Counted(right) => {
                let drop = Drop::count(&right[from], &right[to]);
                let two_sided = drop.two_sided();
                (Some((drop.bounds().into(), two_sided.into())), "Tango's score interval")
            }
            Doubt::Resampled(resampled) => (resampled.drop(from, to), "paired bootstrap"),
        };
        PairedFigure {
            metric: self.metric.name().to_owned(),
            baseline: self.estimate(from),
            converted: self.estimate(to),
            drop: self.values[from] - self.values[to],
            one_sided_95: bounds.map(|bounds| bounds.0),
            two_sided_95: bounds.map(|bounds| bounds.1),
            method: method.to_owned(),
            missing: bounds.is_none().then(|| UNDEFINED.to_owned()),
        }
    }
}

const UNDEFINED: &str = "the figure is undefined on more than 1 % of the resamples";

/// Wilson's 95 % interval of the share that is true.
pub(super) fn share_interval(rows: &[bool]) -> [f64; 2] {
    wilson(rows.iter().filter(|row| **row).count(), rows.len()).into()
}

/// The comparison of two of the sides.
pub(super) fn pair(
    case: &Case,
    sides: &[Side],
    measured: &[Measured],
    [from, to]: [usize; 2],
) -> Pair {
    let both = [&sides[from], &sides[to]];
    let right = both.map(|side| right(side.answers, case.references));
    let tested = match &right {
        [Some(from), Some(to)] => Some((mcnemar(from, to), flips(case, both, [from, to]))),
        _ => None,
    };
    let (mcnemar, flips) = tested.unzip();
    Pair {
        rows: case.references.count(),
        figures: measured.iter().map(|figure| figure.paired([from, to])).collect(),
        mcnemar,
        flips,
        fidelity: fidelity::of(both[0].info, both.map(|side| side.output), case.pairs),
    }
}

fn mcnemar(from: &[bool], to: &[bool]) -> McNemarTest {
    let Drop { lost, gained, .. } = Drop::count(from, to);
    let test = McNemar::of(lost, gained);
    McNemarTest {
        lost,
        gained,
        exact_p: test.exact,
        mid_p: test.mid_p,
        one_sided_p: test.one_sided,
    }
}

/// Rows that went from right to wrong or back, and all whose answer is another.
fn flips(case: &Case, sides: [&Side; 2], [from, to]: [&[bool]; 2]) -> Flips {
    let rows = from.len();
    let said = |side: &Side, row| side.answers.said(row, case.labels);
    let mut changed: Vec<usize> =
        (0..rows).filter(|row| said(sides[0], *row) != said(sides[1], *row)).collect();
    let flipped = (0..rows).filter(|row| from[*row] != to[*row]).count();
    let count = changed.len();
    // A stable sort: lost rows, gained rows, rows wrong in two ways.
    changed.sort_by_key(|row| match (from[*row], to[*row]) {
        (true, false) => 0,
        (false, true) => 1,
        _ => 2,
    });
    let share = |count: usize| count as f64 / rows.max(1) as f64;
    Flips {
        share: share(flipped),
        changed: count,
        changed_share: share(count),
        examples: changed
            .iter()
            .take(sample::EXAMPLES)
            .map(|row| sample::example(case, sides, *row))
            .collect(),
    }
}
