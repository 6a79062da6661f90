//! On which data sets a run's models got worse, with all of them in mind.

use mlxq_eval::stats::holm;

use super::CellReport;
use super::report::{Change, Changes};

const METHOD: &str = "one-sided p of McNemar's exact test, that the converted model is right less often \
                      than its baseline; corrected by Holm for all cells of the run";

/// The tests of all cells whose answers are right or wrong, corrected for their number; `None` where
/// there is no such cell.
pub(super) fn changes(cells: &[CellReport]) -> Option<Changes> {
    let test = |cell: &CellReport| {
        let test = cell.judgement.judged()?.mcnemar?;
        let (lost, gained, p) = (test.lost, test.gained, test.one_sided_p);
        Some(Change { cell: cell.id.clone(), lost, gained, p, p_holm: p })
    };
    let mut tests: Vec<Change> = cells.iter().filter_map(test).collect();
    let values: Vec<f64> = tests.iter().map(|test| test.p).collect();
    for (test, p) in tests.iter_mut().zip(holm(&values)) {
        test.p_holm = p;
    }
    (!tests.is_empty()).then(|| Changes { method: METHOD.to_owned(), cells: tests })
}
