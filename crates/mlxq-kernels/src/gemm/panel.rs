//! Panels of f32: weights in the order in which the tiles read them.

use std::ops::Range;

use rayon::prelude::*;

use super::tile::COLUMNS;
use crate::float::Float;
use crate::isa::multiversion;

/// Inputs that are reordered at once: 16 rows of them stay in the first-level cache.
const STRIP: usize = 64;

/// `[panels, input, COLUMNS]`, the last panel filled up with zeros.
#[derive(Debug, Clone)]
pub(super) struct Panels {
    numbers: Vec<[f32; COLUMNS]>,
    input: usize,
}

impl Panels {
    /// Packs rows of `input` numbers; `read` fills a slice with a row's numbers from a place on.
    pub(super) fn pack(
        [output, input]: [usize; 2],
        read: impl Fn(usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let mut numbers = vec![[0.0; COLUMNS]; output.div_ceil(COLUMNS) * input];
        numbers.par_chunks_mut(input).enumerate().for_each(|(place, panel)| {
            let first = place * COLUMNS;
            let rows = first..output.min(first + COLUMNS);
            for (i, strip) in panel.chunks_mut(STRIP).enumerate() {
                let mut block = [[0.0; STRIP]; COLUMNS];
                for (row, block) in rows.clone().zip(&mut block) {
                    read(row, i * STRIP, &mut block[..strip.len()]);
                }
                turn(&block, strip);
            }
        });
        Self { numbers, input }
    }

    /// Packs little-endian numbers of the format `float`.
    pub(super) fn of_bytes(shape: [usize; 2], float: Float, bytes: &[u8]) -> Self {
        let size = float.size();
        Self::pack(shape, |row, first, out| {
            let at = (row * shape[1] + first) * size;
            float.decode(&bytes[at..at + out.len() * size], out);
        })
    }

    /// The weights of one panel for the inputs `inputs`.
    pub(super) fn block(&self, panel: usize, inputs: Range<usize>) -> &[[f32; COLUMNS]] {
        &self.numbers[panel * self.input..][inputs]
    }
}

multiversion! {
    /// Rows to columns: `strip[i][r] = block[r][i]`.
    fn turn(block: &[[f32; STRIP]; COLUMNS], strip: &mut [[f32; COLUMNS]]) {
        for (i, column) in strip.iter_mut().enumerate().take(STRIP) {
            for (number, row) in column.iter_mut().zip(block) {
                *number = row[i];
            }
        }
    }
}
