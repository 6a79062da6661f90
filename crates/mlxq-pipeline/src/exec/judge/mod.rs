//! Outputs to answers, figures and evidence.

mod answers;
mod drop;
mod samples;

use mlxq_engine::Output;
use mlxq_eval::metric::cosine;
use serde_json::{Value, json};

pub(super) use answers::{Answers, References, figures};
pub(super) use drop::{RESAMPLES, SEED, drop};
pub(super) use samples::samples;

/// How far two engines' outputs for the same checkpoint are apart: the smallest cosine of a row, the
/// largest difference of a number, and that in relation to the largest number.
pub(super) fn agreement(a: &Output, b: &Output) -> Value {
    let rows = 0..a.rows.min(b.rows);
    let smallest = rows.map(|row| cosine(a.row(row), b.row(row))).fold(f64::INFINITY, f64::min);
    let differences = a.data.iter().zip(&b.data).map(|(a, b)| f64::from((a - b).abs()));
    let largest = differences.fold(0.0, f64::max);
    let scale = a.data.iter().map(|a| f64::from(a.abs())).fold(0.0, f64::max);
    json!({
        "rows": a.rows,
        "smallest_cosine": smallest.is_finite().then_some(smallest),
        "largest_difference": largest,
        "relative_difference": (scale > 0.0).then(|| largest / scale),
    })
}
