//! Which cells of a run have changed, with all of them in mind.

use mlxq_eval::stats::{Drop, McNemar, holm};

use super::figures::right;
use super::report::{Change, Changes};
use super::{CellReport, Sample};

const METHOD: &str = "McNemar's exact test, two-sided, of right answers of baseline and converted model; \
                      corrected by Holm for all cells of the run";

/// The change of one cell from its baseline to the converted model; `None` where answers are not right
/// or wrong. `p_holm` is `p` until [`corrected`] has seen all cells.
pub(crate) fn change(cell: &CellReport, samples: &[Sample]) -> Option<Change> {
    let baseline =
        right(samples, |sample| sample.torch.as_ref().unwrap_or(&sample.native_original));
    let converted = right(samples, |sample| &sample.converted);
    let Drop { lost, gained, .. } = Drop::count(&baseline?, &converted?);
    let p = McNemar::of(lost, gained).exact;
    Some(Change { cell: cell.id.clone(), lost, gained, p, p_holm: p })
}

/// The changes of all cells, corrected for each other; `None` of no cell.
pub(crate) fn corrected(mut cells: Vec<Change>) -> Option<Changes> {
    let values: Vec<f64> = cells.iter().map(|change| change.p).collect();
    for (change, p) in cells.iter_mut().zip(holm(&values)) {
        change.p_holm = p;
    }
    (!cells.is_empty()).then(|| Changes { method: METHOD.to_owned(), cells })
}
