//! The definition, in plain Rust.

use super::super::codes::{COLUMNS, Panel, QUAD};
use super::{IntegerRows, Sums};

/// `row scale * sum over the groups: scale * sum(a * code) + bias * sum(a)`, for each group one product
/// added to what is there with one rounding, then the other.
pub(super) fn multiply_i16(panel: Panel, rows: IntegerRows<i16>, out: &mut [Sums]) {
    let quads = panel.words_per_group();
    for (row, out) in out.iter_mut().enumerate() {
        *out = [0.0; COLUMNS];
        let groups = panel.words.chunks_exact(quads).zip(panel.groups);
        for (place, (words, group)) in groups.enumerate() {
            let mut sums = [0; COLUMNS];
            for (words, quad) in words.iter().zip(rows.part(row, place)) {
                add(words, quad.map(i32::from), &mut sums);
            }
            let sum = rows.sum(row, place);
            for column in 0..COLUMNS {
                let scaled = (sums[column] as f32).mul_add(group.scales[column], out[column]);
                out[column] = sum.mul_add(group.biases[column], scaled);
            }
        }
        out.iter_mut().for_each(|x| *x *= rows.scale(row));
    }
}

/// The same with a scale for each row and group, by which the first sum is multiplied in advance.
pub(super) fn multiply_i8(panel: Panel, rows: IntegerRows<i8>, out: &mut [Sums]) {
    let quads = panel.words_per_group();
    for (row, out) in out.iter_mut().enumerate() {
        *out = [0.0; COLUMNS];
        let groups = panel.words.chunks_exact(quads).zip(panel.groups);
        for (place, (words, group)) in groups.enumerate() {
            let mut sums = [0; COLUMNS];
            for (words, [a, c, b, d]) in words.iter().zip(rows.part(row, place)) {
                add(words, [*a, *b, *c, *d].map(i32::from), &mut sums);
            }
            let (scale, sum) = (rows.scale(row, place), rows.sum(row, place));
            for column in 0..COLUMNS {
                let number = sums[column] as f32 * scale;
                let scaled = number.mul_add(group.scales[column], out[column]);
                out[column] = sum.mul_add(group.biases[column], scaled);
            }
        }
    }
}

/// Adds the products of a quad of activations.
#[inline(always)]
fn add(words: &[u32; COLUMNS], [a, b, c, d]: [i32; QUAD], sums: &mut [i32; COLUMNS]) {
    for (sum, word) in sums.iter_mut().zip(words) {
        let code = |shift: u32| ((word >> shift) & 0xff) as i32;
        *sum += a * code(0) + b * code(16) + c * code(8) + d * code(24);
    }
}
