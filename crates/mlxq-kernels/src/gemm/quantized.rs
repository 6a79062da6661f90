//! Panels that stay quantized: a byte per weight, decoded block by block when they are multiplied.

use std::ops::Range;

use rayon::prelude::*;

use super::tile::COLUMNS;
use crate::isa::multiversion;
use crate::quant::{Affine, Stored, spread};

/// Inputs whose codes are reordered at once; every group is a multiple.
const STRIP: usize = 32;

/// Scales and biases of one group of a panel's columns.
#[derive(Debug, Clone, Copy, Default)]
struct Group {
    scales: [f32; COLUMNS],
    biases: [f32; COLUMNS],
}

/// Affine weights; the columns that fill up the last panel are zeros.
#[derive(Debug, Clone)]
pub(super) struct QuantizedPanels {
    /// `[panels, input, COLUMNS]`.
    codes: Vec<[u8; COLUMNS]>,
    /// `[panels, input / group_size]`.
    groups: Vec<Group>,
    input: usize,
    group_size: usize,
}

impl QuantizedPanels {
    /// Packs the rows of `stored`, which are of the format `affine`.
    pub(super) fn pack([output, input]: [usize; 2], affine: Affine, stored: &Stored) -> Self {
        let group_size = affine.group_size();
        let (panels, groups_per_row) = (output.div_ceil(COLUMNS), input / group_size);
        let row_bytes = input / 8 * affine.bits() as usize;
        let mut codes = vec![[0; COLUMNS]; panels * input];
        let mut groups = vec![Group::default(); panels * groups_per_row];
        let all = codes.par_chunks_mut(input).zip(groups.par_chunks_mut(groups_per_row));
        all.enumerate().for_each(|(panel, (codes, groups))| {
            let first = panel * COLUMNS;
            let rows = first..output.min(first + COLUMNS);
            let words = &stored.words[rows.start * row_bytes..rows.end * row_bytes];
            turn_codes(affine.bits(), words, row_bytes, codes);
            turn_groups(stored, rows, groups);
        });
        Self { codes, groups, input, group_size }
    }

    /// Restores the weights of one panel for the inputs `inputs`, whole groups, to the bits that
    /// [`Packed::restore`](crate::quant::Packed::restore) has for them.
    pub(super) fn decode(&self, panel: usize, inputs: Range<usize>, out: &mut [[f32; COLUMNS]]) {
        let codes = &self.codes[panel * self.input..][inputs.clone()];
        let groups = inputs.start / self.group_size..inputs.end / self.group_size;
        let groups = &self.groups[panel * (self.input / self.group_size)..][groups];
        decode(codes, groups, self.group_size, out);
    }
}

multiversion! {
    fn decode(
        codes: &[[u8; COLUMNS]],
        groups: &[Group],
        group_size: usize,
        out: &mut [[f32; COLUMNS]],
    ) {
        let chunks = codes.chunks_exact(group_size).zip(out.chunks_exact_mut(group_size));
        for ((codes, out), Group { scales, biases }) in chunks.zip(groups) {
            for (codes, out) in codes.iter().zip(out) {
                for column in 0..COLUMNS {
                    // Two roundings, as MLX has them.
                    out[column] = f32::from(codes[column]) * scales[column] + biases[column];
                }
            }
        }
    }
}

multiversion! {
    /// The rows of `words`, each of `row_bytes`, at most [`COLUMNS`], as columns of a panel.
    fn turn_codes(bits: u32, words: &[u8], row_bytes: usize, codes: &mut [[u8; COLUMNS]]) {
        match bits {
            2 => turn_strips::<2>(words, row_bytes, codes),
            3 => turn_strips::<3>(words, row_bytes, codes),
            4 => turn_strips::<4>(words, row_bytes, codes),
            5 => turn_strips::<5>(words, row_bytes, codes),
            6 => turn_strips::<6>(words, row_bytes, codes),
            _ => turn_strips::<8>(words, row_bytes, codes),
        }
    }
}

/// [`turn_codes`] with the number of bits known to the compiler.
#[inline(always)]
fn turn_strips<const BITS: usize>(words: &[u8], row_bytes: usize, codes: &mut [[u8; COLUMNS]]) {
    let mut strip = [[0; STRIP]; COLUMNS];
    for (place, codes) in codes.as_chunks_mut::<STRIP>().0.iter_mut().enumerate() {
        for (strip, row) in strip.iter_mut().zip(words.chunks_exact(row_bytes)) {
            let eights = &row.as_chunks::<BITS>().0.as_chunks::<{ STRIP / 8 }>().0[place];
            for (codes, eight) in strip.as_chunks_mut().0.iter_mut().zip(eights) {
                *codes = spread(eight).to_le_bytes();
            }
        }
        turn_strip(&strip, codes);
    }
}

/// Rows to columns: `codes[i][r] = strip[r][i]`.
#[inline(always)]
fn turn_strip(strip: &[[u8; STRIP]; COLUMNS], codes: &mut [[u8; COLUMNS]; STRIP]) {
    // Eight bytes of a column as one number: loops over numbers are vectorized, over bytes they are not.
    let mut columns = [[0u64; STRIP]; 2];
    for (column, rows) in columns.iter_mut().zip(strip.as_chunks::<8>().0) {
        for (i, column) in column.iter_mut().enumerate() {
            for (place, row) in rows.iter().enumerate() {
                *column |= u64::from(row[i]) << (8 * place);
            }
        }
    }
    for (i, codes) in codes.iter_mut().enumerate() {
        let (low, high) = (u128::from(columns[0][i]), u128::from(columns[1][i]));
        *codes = (low | high << 64).to_le_bytes();
    }
}

/// Scales and biases of the rows `rows` as columns of a panel's groups.
fn turn_groups(stored: &Stored, rows: Range<usize>, groups: &mut [Group]) {
    let float = stored.float;
    let row_bytes = groups.len() * float.size();
    let mut numbers = vec![0.0; groups.len()];
    for (column, row) in rows.enumerate() {
        let bytes = row * row_bytes..(row + 1) * row_bytes;
        float.decode(&stored.scales[bytes.clone()], &mut numbers);
        groups.iter_mut().zip(&numbers).for_each(|(group, x)| group.scales[column] = *x);
        float.decode(&stored.biases[bytes], &mut numbers);
        groups.iter_mut().zip(&numbers).for_each(|(group, x)| group.biases[column] = *x);
    }
}
