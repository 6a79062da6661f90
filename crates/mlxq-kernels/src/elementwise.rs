//! Sums of slices.

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
