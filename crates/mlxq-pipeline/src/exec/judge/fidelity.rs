//! How far two sides' outputs are apart, whatever the labels say.

use mlxq_engine::OutputKind;

use super::Side;
use crate::record::Fidelity;

/// The fidelity of the second side to the first.
pub(super) fn of([base, converted]: [&Side; 2]) -> Fidelity {
    let numbers = base.output.data.iter().zip(&converted.output.data);
    let largest = numbers.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    let _ = (base.info.output == OutputKind::Logits, base.output.cols);
    Fidelity { logits: None, embeddings: None, largest_difference: largest }
}
