//! The weights of sixteen queries from their scores.

use super::machine::{LANES, Lanes, Machine};

/// `scores[k][q] := 2^(scores[k][q] - largest of q)`; returns the sum of each query's.
#[inline(always)]
pub(super) fn softmax<M: Machine>(machine: M, scores: &mut [Lanes]) -> Lanes {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for row in &*scores {
        for (largest, score) in largest.iter_mut().zip(row) {
            *largest = if *score > *largest { *score } else { *largest };
        }
    }
    let mut total = [0.0; LANES];
    for row in scores {
        for (score, largest) in row.iter_mut().zip(&largest) {
            *score = exp2(machine, *score - largest);
        }
        for (total, weight) in total.iter_mut().zip(row) {
            *total += *weight;
        }
    }
    total
}

/// `2^x` for `x <= 0`, relative error below 2e-7; 0 below about -126; NaN stays NaN.
///
/// `x = n + r` with `|r| <= 1/2`; `2^r` by the polynomial of degree 6 whose largest relative error there
/// is least, 2e-9 (weighted least squares, reweighted after Lawson).
#[inline(always)]
fn exp2<M: Machine>(machine: M, x: f32) -> f32 {
    // 1.5 * 2^23: adding it leaves the nearest integer in the lowest bits.
    const NEAREST: f32 = 12_582_912.0;
    const TERMS: [f32; 6] =
        [1.339_900_3e-3, 9.618_439e-3, 5.550_332_2e-2, 2.402_264_8e-1, 6.931_472e-1, 1.0];
    // There the exponent's bits are 0, and so is the product with them.
    let x = if -127.0 > x { -127.0 } else { x };
    let shifted = x + NEAREST;
    let r = x - (shifted - NEAREST);
    let mut series = 1.535_325_8e-4;
    for term in TERMS {
        series = machine.multiply_add_one(series, r, term);
    }
    let exponent = shifted.to_bits().wrapping_sub(NEAREST.to_bits()).wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attention::tile::{Fused, Plain};

    /// The oracle is std's f64 power.
    #[test]
    fn powers_agree_with_f64() {
        for step in -12_599..=0 {
            let x = step as f32 * 0.01;
            let want = f64::from(x).exp2();
            for got in [exp2::<Plain>(x), exp2::<Fused>(x)] {
                assert!((f64::from(got) / want - 1.0).abs() < 2e-7, "2^{x} = {got}, not {want}");
            }
        }
        for (x, want) in [(0.0, 1.0), (-127.0, 0.0), (-1e30, 0.0), (f32::NEG_INFINITY, 0.0)] {
            assert_eq!((exp2::<Plain>(x), exp2::<Fused>(x)), (want, want));
        }
        assert!(exp2::<Plain>(f32::NAN).is_nan());
    }
}
