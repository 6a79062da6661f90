//! The drop of the primary figure, with its uncertainty.

use mlxq_eval::gate::DropEvidence;
use mlxq_eval::metric::Metric;
use mlxq_eval::stats::{Drop, paired_difference};

use super::answers::{Answers, References, figure, right};

/// Resamples of the paired bootstrap, and its seed.
pub(in crate::exec) const RESAMPLES: usize = 10_000;
pub(in crate::exec) const SEED: u64 = 42;

/// The drop of `metric` from `baseline` to `converted` on the same rows: of accuracy by counting, of
/// the others by resampling rows.
pub(in crate::exec) fn drop(
    metric: Metric,
    [baseline, converted]: [&Answers; 2],
    references: &References,
) -> DropEvidence {
    if metric == Metric::Accuracy {
        let [base, conv] = [baseline, converted].map(|answers| right(answers, references));
        return DropEvidence::Accuracy(Drop::count(&base, &conv));
    }
    let figures = [baseline, converted].map(|answers| figure(metric, answers, references));
    let [Some(base), Some(conv)] = figures else {
        return DropEvidence::None("answers and references are of two kinds".to_owned());
    };
    let rows = references.count();
    let difference = |rows: &[usize]| Some(base(rows)? - conv(rows)?);
    let all: Vec<usize> = (0..rows).collect();
    let estimate = difference(&all).zip(paired_difference(rows, RESAMPLES, SEED, difference));
    match estimate {
        Some((drop, bootstrap)) => DropEvidence::Resampled {
            drop,
            bounds: bootstrap.bounds,
            rows,
            resamples: bootstrap.resamples,
        },
        None => DropEvidence::None("the figure is undefined on too many resamples".to_owned()),
    }
}
