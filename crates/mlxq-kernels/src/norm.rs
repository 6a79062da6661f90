//! Normalizations of rows.

use crate::isa::multiversion;

/// Lanes that sums run in: fixed, so that every instruction set adds in the same order.
const LANES: usize = 16;

/// The sum of `term(x)` over `x`, in [`LANES`] partial sums.
#[inline(always)]
fn sum(x: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += term(chunk[lane]);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|&x| term(x)).sum::<f32>()
}

multiversion! {
    /// `out` := LayerNorm (Ba et al. 2016) of every row of `x [rows, weight.len()]`:
    /// `(x - mean) / sqrt(variance + epsilon) * weight + bias`, the variance over all elements. An
    /// empty `bias` adds nothing.
    pub fn layer_norm(x: &[f32], out: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
        let width = weight.len();
        for (row, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            let mean = sum(row, |x| x) / width as f32;
            let variance = sum(row, |x| (x - mean) * (x - mean)) / width as f32;
            let factor = 1.0 / (variance + epsilon).sqrt();
            let numbers = out.iter_mut().zip(row).zip(weight);
            if bias.is_empty() {
                numbers.for_each(|((out, x), weight)| *out = (*x - mean) * factor * weight);
            } else {
                for (((out, x), weight), bias) in numbers.zip(bias) {
                    *out = (*x - mean) * factor * weight + bias;
                }
            }
        }
    }
}

multiversion! {
    /// Every row of `x [rows, width]` divided by its Euclidean length, or by 1e-12 if that is
    /// larger, as `torch.nn.functional.normalize` does.
    pub fn l2_normalize(x: &mut [f32], width: usize) {
        for row in x.chunks_exact_mut(width) {
            let length = sum(row, |x| x * x).sqrt();
            let length = if length > 1e-12 { length } else { 1e-12 };
            for x in row {
                *x /= length;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: mean 2.5, variance 1.25.
    #[test]
    fn layer_norm_of_one_row() {
        let x = [1.0, 2.0, 3.0, 4.0];
        let mut out = [0.0; 4];
        layer_norm(&x, &mut out, &[1.0, 1.0, 2.0, 2.0], &[0.0, 0.5, 0.0, 0.5], 0.0);
        let deviation = 1.25f32.sqrt();
        let want =
            [-1.5 / deviation, -0.5 / deviation + 0.5, 1.0 / deviation, 3.0 / deviation + 0.5];
        for (got, want) in out.iter().zip(want) {
            assert!((got - want).abs() < 1e-6);
        }
        layer_norm(&x, &mut out, &[1.0; 4], &[], 0.0);
        assert!((out[0] + 1.5 / deviation).abs() < 1e-6);
    }

    #[test]
    fn normalize_leaves_zero_alone() {
        let mut x = [3.0, 4.0, 0.0, 0.0];
        l2_normalize(&mut x, 2);
        assert_eq!(x, [0.6, 0.8, 0.0, 0.0]);
    }
}
