//! The few functions that make scores of logits.
//!
//! They compute in f64 and are stable: finite logits give finite scores, whatever their size.

/// The place of the largest number, the first of equals.
pub(crate) fn largest(vector: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in vector.iter().enumerate() {
        if *value > vector[best] {
            best = place;
        }
    }
    best
}

/// 1 / (1 + e^-x).
pub(super) fn sigmoid(x: f32) -> f32 {
    share(f64::from(x))
}

/// The second share of a softmax over two logits.
pub(super) fn softmax_of_two(first: f32, second: f32) -> f32 {
    share(f64::from(second) - f64::from(first))
}

/// 1 / (1 + e^-x): e^-x may be infinite, and then the share is 0.
fn share(x: f64) -> f32 {
    (1.0 / (1.0 + (-x).exp())) as f32
}

/// e^x of each logit as a share of them all.
pub(super) fn softmax(logits: &[f32]) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|x| (f64::from(*x) - f64::from(top)).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| (power / sum) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_logits_give_shares_and_no_nan() {
        let huge = f32::MAX;
        assert_eq!(softmax(&[huge, huge, -huge]), [0.5, 0.5, 0.0]);
        assert_eq!(softmax(&[89.0, 89.0]), [0.5, 0.5]);
        assert_eq!((softmax_of_two(-huge, huge), softmax_of_two(huge, -huge)), (1.0, 0.0));
        assert_eq!((sigmoid(huge), sigmoid(-huge), sigmoid(0.0)), (1.0, 0.0, 0.5));
    }

    #[test]
    fn the_first_of_equal_logits_is_the_largest() {
        assert_eq!(largest(&[1.0, 3.0, 3.0]), 1);
    }
}
