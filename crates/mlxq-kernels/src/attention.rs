//! Scaled dot-product attention over ragged rows.

use rayon::prelude::*;

use crate::activation::exp;
use crate::gemm::{Matrix, product};
use crate::isa::multiversion;

/// Multi-head attention (Vaswani et al. 2017, equation 1) of every token to all tokens of its row.
///
/// `query`, `key` and `value` are `[tokens, heads * head_size]`; row `r` holds the tokens
/// `offsets[r]..offsets[r + 1]`. The result, of the same shape, is
/// `softmax(query key^T * scale) value` for each row and head.
///
/// # Panics
/// When the slices' lengths differ, or `heads` or the offsets do not divide them.
pub fn bidirectional(
    [query, key, value]: [&[f32]; 3],
    offsets: &[usize],
    heads: usize,
    scale: f32,
) -> Vec<f32> {
    let tokens = offsets.last().copied().unwrap_or(0);
    if tokens == 0 {
        return Vec::new();
    }
    let width = query.len() / tokens;
    assert!(width.is_multiple_of(heads), "{width} is no multiple of {heads} heads");
    assert!([query, key, value].iter().all(|x| x.len() == tokens * width), "lengths differ");
    let rows: Vec<Vec<f32>> = offsets
        .par_windows(2)
        .map(|row| {
            let part = |x: &'_ [f32]| x[row[0] * width..row[1] * width].to_vec();
            one_row([&part(query), &part(key), &part(value)], width, heads, scale)
        })
        .collect();
    rows.concat()
}

/// Attention of one row of `length` tokens.
fn one_row(inputs: [&[f32]; 3], width: usize, heads: usize, scale: f32) -> Vec<f32> {
    let length = inputs[0].len() / width;
    let mut out = vec![0.0; length * width];
    if length == 0 {
        return out;
    }
    let head_size = width / heads;
    let mut scores = vec![0.0; length * length];
    let mut mixed = vec![0.0; length * head_size];
    for start in (0..width).step_by(head_size) {
        let [query, key, value] = inputs.map(|x| &x[start..]);
        let rows = |data| Matrix { data, row_stride: width, column_stride: 1 };
        let columns = Matrix { data: key, row_stride: 1, column_stride: width };
        product([length, length, head_size], rows(query), columns, &mut scores);
        softmax(&mut scores, length, scale);
        let weights = Matrix { data: &scores, row_stride: length, column_stride: 1 };
        product([length, head_size, length], weights, rows(value), &mut mixed);
        for (out, mixed) in out.chunks_exact_mut(width).zip(mixed.chunks_exact(head_size)) {
            out[start..start + head_size].copy_from_slice(mixed);
        }
    }
    out
}

multiversion! {
    /// `x[r] := softmax(x[r] * scale)` for every row of `x [rows, width]`; `scale` is positive.
    fn softmax(x: &mut [f32], width: usize, scale: f32) {
        for row in x.chunks_exact_mut(width) {
            let largest = row.iter().fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
            let mut total = 0.0;
            for x in row.iter_mut() {
                *x = exp((*x - largest) * scale);
            }
            for x in row.iter() {
                total += *x;
            }
            for x in row {
                *x /= total;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in f64, for one row and head.
    fn plain(query: &[f32], key: &[f32], value: &[f32], size: usize, scale: f64) -> Vec<f64> {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        let mut out = Vec::new();
        for query in query.chunks(size) {
            let scores: Vec<f64> =
                key.chunks(size).map(|key| (dot(query, key) * scale).exp()).collect();
            let total: f64 = scores.iter().sum();
            for column in 0..size {
                let values = value.iter().skip(column).step_by(size);
                out.push(scores.iter().zip(values).map(|(s, v)| s / total * f64::from(*v)).sum());
            }
        }
        out
    }

    #[test]
    fn rows_attend_only_to_themselves() {
        let numbers = |seed: usize| -> Vec<f32> {
            (0..5 * 4).map(|i| ((i * 7 + seed * 13) % 11) as f32 / 5.0 - 1.0).collect()
        };
        let (query, key, value) = (numbers(1), numbers(2), numbers(3));
        let got = bidirectional([&query, &key, &value], &[0, 2, 2, 5], 1, 0.5);
        let mut want = plain(&query[..8], &key[..8], &value[..8], 4, 0.5);
        want.extend(plain(&query[8..], &key[8..], &value[8..], 4, 0.5));
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6);
        }
    }

    /// Two heads are two attentions over halves of the width.
    #[test]
    fn heads_are_independent() {
        let x: Vec<f32> = (0..3 * 4).map(|i| (i as f32 * 0.7).sin()).collect();
        let half = |start: usize| -> Vec<f32> {
            x.chunks(4).flat_map(|row| row[start..start + 2].to_vec()).collect()
        };
        let both = bidirectional([&x, &x, &x], &[0, 3], 2, 1.0);
        for (start, part) in [(0, half(0)), (2, half(2))] {
            let alone = bidirectional([&part, &part, &part], &[0, 3], 1, 1.0);
            let got: Vec<f32> =
                both.chunks(4).flat_map(|row| row[start..start + 2].to_vec()).collect();
            assert_eq!(got, alone);
        }
    }
}
