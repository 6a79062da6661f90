//! Panels that stay quantized: a byte per weight, decoded block by block when they are multiplied.

use std::ops::Range;

use rayon::prelude::*;

use super::tile::COLUMNS;
use crate::isa::multiversion;
use crate::quant::{Affine, Stored, spread};

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
            turn_codes(affine.bits(), (stored.words, row_bytes), rows.clone(), codes);
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

/// Codes of the rows `rows`, each of `row_bytes` in `words`, as columns of a panel.
fn turn_codes(
    bits: u32,
    (words, row_bytes): (&[u8], usize),
    rows: Range<usize>,
    codes: &mut [[u8; COLUMNS]],
) {
    let turn = match bits {
        2 => turn_eights::<2>,
        3 => turn_eights::<3>,
        4 => turn_eights::<4>,
        5 => turn_eights::<5>,
        6 => turn_eights::<6>,
        _ => turn_eights::<8>,
    };
    let mut first_column = 0;
    let words = &words[rows.start * row_bytes..rows.end * row_bytes];
    for eight in words.chunks(8 * row_bytes) {
        let rows: Vec<&[u8]> = eight.chunks_exact(row_bytes).collect();
        turn(&rows, first_column, codes);
        first_column += 8;
    }
}

/// Up to eight rows of codes of `BITS` bits as columns from `first_column` on.
fn turn_eights<const BITS: usize>(
    rows: &[&[u8]],
    first_column: usize,
    codes: &mut [[u8; COLUMNS]],
) {
    let nothing: &[[u8; BITS]] = &[];
    let mut eights = [nothing; 8];
    for (eights, row) in eights.iter_mut().zip(rows) {
        *eights = row.as_chunks().0;
    }
    for (place, codes) in codes.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut square = eights.map(|eights| eights.get(place).map_or(0, spread));
        transpose(&mut square);
        for (codes, line) in codes.iter_mut().zip(square) {
            codes[first_column..first_column + 8].copy_from_slice(&line.to_le_bytes());
        }
    }
}

/// Transposes 8 × 8 bytes: squares of four, two and one bytes change places across the diagonal.
#[inline(always)]
fn transpose(square: &mut [u64; 8]) {
    const LOWER: [(usize, u64); 3] =
        [(4, 0xffff_ffff), (2, 0xffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ff)];
    for (size, lower) in LOWER {
        for row in (0..8).filter(|row| row & size == 0) {
            let differing = (square[row] >> (8 * size) ^ square[row + size]) & lower;
            square[row] ^= differing << (8 * size);
            square[row + size] ^= differing;
        }
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
