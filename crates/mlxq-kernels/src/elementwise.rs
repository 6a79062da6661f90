//! Sums and products of slices.

use crate::isa::multiversion;

multiversion! {
    /// `x[i] += y[i]`.
    pub fn add(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x += *y;
        }
    }
}

multiversion! {
    /// `x[r, c] += row[c]` for every row `r` of `x [rows, row.len()]`.
    pub fn add_row(x: &mut [f32], row: &[f32]) {
        for x in x.chunks_exact_mut(row.len()) {
            for (x, y) in x.iter_mut().zip(row) {
                *x += *y;
            }
        }
    }
}

multiversion! {
    /// `x[i] *= factor`.
    pub fn scale(x: &mut [f32], factor: f32) {
        for x in x {
            *x *= factor;
        }
    }
}

multiversion! {
    /// `x[i] *= y[i]`.
    pub fn multiply(x: &mut [f32], y: &[f32]) {
        for (x, y) in x.iter_mut().zip(y) {
            *x *= *y;
        }
    }
}

multiversion! {
    /// `out[r, c] := x[r, c] * weight[c] + bias[c]` for every row `r` of `x [rows, weight.len()]`.
    pub fn scale_and_shift(x: &[f32], out: &mut [f32], weight: &[f32], bias: &[f32]) {
        let width = weight.len();
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
                *out = *x * *weight + *bias;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_scaled_and_shifted_alike() {
        let mut x = [0.0; 4];
        scale_and_shift(&[1.0, 2.0, 3.0, 4.0], &mut x, &[2.0, 0.5], &[1.0, -1.0]);
        assert_eq!(x, [3.0, 0.0, 7.0, 1.0]);
        multiply(&mut x, &[0.5, 1.0, 2.0, 3.0]);
        assert_eq!(x, [1.5, 0.0, 14.0, 3.0]);
    }
}
