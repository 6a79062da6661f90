//! The weights of sixteen queries from their scores.

use super::machine::{LANES, Lanes};
use crate::power::exp2;

/// `scores[k][q] := 2^(scores[k][q] - largest of q)`; returns the sum of each query's.
#[inline(always)]
pub(super) fn softmax(scores: &mut [Lanes]) -> Lanes {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for row in &*scores {
        for (largest, score) in largest.iter_mut().zip(row) {
            *largest = if *score > *largest { *score } else { *largest };
        }
    }
    let mut total = [0.0; LANES];
    for row in scores {
        for (score, largest) in row.iter_mut().zip(&largest) {
            *score = exp2(*score - largest);
        }
        for (total, weight) in total.iter_mut().zip(row) {
            *total += *weight;
        }
    }
    total
}
