//! Matrix products in f32.
//!
//! Weights are packed once into panels of 16 output features, as f32 or still quantized. A tile of 6
//! rows by one panel is summed in registers, each element over the inputs in their order: a row gets
//! the same bits whatever it is batched with, on any number of threads, and from quantized panels the
//! same as from their restored numbers. Products of other shapes go through the `gemm` crate.

mod epilogue;
mod panel;
mod quantized;
mod strided;
#[cfg(test)]
mod tests;
mod tile;

use std::ops::Range;

use rayon::prelude::*;

pub use epilogue::Epilogue;
pub(crate) use strided::{Matrix, product};

use crate::float::Float;
use crate::pool::Pool;
use crate::quant::{Format, Stored};
use panel::Panels;
use quantized::QuantizedPanels;
use tile::{COLUMNS, Place, ROWS};

/// Inputs of a block: its weights, in f32, stay in the first-level cache while all rows pass. A
/// multiple of every group size.
const DEPTH: usize = 256;
/// Most rows that one thread takes at once, whole tiles: their inputs of one depth stay in the
/// second-level cache, and a quantized block is decoded once for all of them.
const CHUNK_ROWS: usize = 16 * ROWS;
/// Least rows for which decoding a block on every thread is cheaper than sharing the panels out.
const FEW_ROWS: usize = 4 * ROWS;
/// Activations that stay in the second-level cache, all depths of them.
const FEW_INPUTS: usize = 1 << 16;
/// Least multiplications that are worth waking another thread for.
const WORTH_SHARING: usize = 1 << 19;

/// A weight matrix packed for products with many activations.
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    weights: Weights,
    input: usize,
    output: usize,
}

#[derive(Debug, Clone)]
enum Weights {
    Float(Panels),
    Quantized(QuantizedPanels),
}

impl PackedMatrix {
    /// Packs `weight [output, input]`, row-major.
    ///
    /// # Panics
    /// When `weight` does not have `output * input` elements.
    pub fn new(weight: &[f32], output: usize, input: usize) -> Self {
        assert_eq!(weight.len(), output * input, "weight");
        let panels = Panels::pack([output, input], |row, first, out| {
            out.copy_from_slice(&weight[row * input + first..][..out.len()]);
        });
        Self { weights: Weights::Float(panels), input, output }
    }

    /// Packs `weight [output, input]`, little-endian numbers of the format `float`, row-major.
    ///
    /// # Panics
    /// When `weight` does not have `output * input` numbers.
    pub fn of_bytes(float: Float, weight: &[u8], output: usize, input: usize) -> Self {
        assert_eq!(weight.len(), output * input * float.size(), "weight");
        let panels = Panels::of_bytes([output, input], float, weight);
        Self { weights: Weights::Float(panels), input, output }
    }

    /// Packs quantized `weight [output, input]`. Affine weights keep a byte each, and products have
    /// the bits that their restored numbers would have; the other modes are restored.
    ///
    /// # Panics
    /// When `weight` does not have `output` rows of whole groups, `input` elements each.
    pub fn quantized(weight: &Stored, output: usize, input: usize) -> Self {
        let whole = input.is_multiple_of(weight.format.group_size());
        assert!(whole && weight.holds(output * input), "weight");
        let weights = match weight.format {
            Format::Affine(affine) => {
                Weights::Quantized(QuantizedPanels::pack([output, input], affine, weight))
            }
            Format::Floating(_) => {
                let mut numbers = vec![0.0; output * input];
                weight.restore(0, &mut numbers);
                return Self::new(&numbers, output, input);
            }
        };
        Self { weights, input, output }
    }

    /// Number of input features.
    pub fn input(&self) -> usize {
        self.input
    }

    /// Number of output features.
    pub fn output(&self) -> usize {
        self.output
    }

    /// `out = epilogue(x weight^T)` for `x [rows, input]` and `out [rows, output]`.
    ///
    /// # Panics
    /// When the lengths of `x`, `out` and the epilogue's parts do not fit.
    pub fn multiply(&self, pool: &Pool, x: &[f32], out: &mut [f32], epilogue: &Epilogue) {
        let rows = out.len() / self.output;
        assert_eq!((x.len(), out.len()), (rows * self.input, rows * self.output), "shapes");
        let Shares { rows, panels } = self.shares(rows, pool.threads());
        let chunks = out.par_chunks_mut(rows * self.output).zip(x.par_chunks(rows * self.input));
        chunks.for_each(|(out, x)| match panels {
            1 => self.multiply_panels(x, 0..self.panels(), out),
            _ => self.multiply_shared(x, panels, out),
        });
        epilogue.apply(out, self.output);
    }

    /// How a product of `rows` rows is shared out among `threads`.
    fn shares(&self, rows: usize, threads: usize) -> Shares {
        // As many rows as sensible, since every chunk decodes all panels, but work for every thread.
        let rows = rows.max(1);
        let least = rows.div_ceil(CHUNK_ROWS);
        let even = least.next_multiple_of(threads);
        let chunks = if rows >= even * FEW_ROWS { even } else { least };
        let rows = rows.div_ceil(chunks).next_multiple_of(ROWS);
        let worth = (rows * self.input * self.output / WORTH_SHARING).max(1);
        let panels = (threads / chunks).clamp(1, worth).min(self.panels());
        Shares { rows, panels }
    }

    /// [`Self::multiply`] for the rows of one chunk, with the panels in `shares` parts.
    fn multiply_shared(&self, x: &[f32], shares: usize, out: &mut [f32]) {
        let rows = x.len() / self.input;
        let bound = |share: usize| share * self.panels() / shares;
        let parts = (0..shares).into_par_iter().map(|share| {
            let panels = bound(share)..bound(share + 1);
            let mut part = vec![0.0; rows * self.columns(&panels).len()];
            self.multiply_panels(x, panels, &mut part);
            part
        });
        let parts: Vec<Vec<f32>> = parts.collect();
        let some = rows.div_ceil(shares);
        out.par_chunks_mut(some * self.output).enumerate().for_each(|(place, out)| {
            for (row, out) in out.chunks_exact_mut(self.output).enumerate() {
                let mut rest = out;
                for part in &parts {
                    let width = part.len() / rows;
                    let (own, others) = rest.split_at_mut(width);
                    own.copy_from_slice(&part[(place * some + row) * width..][..width]);
                    rest = others;
                }
            }
        });
    }

    /// The product of all rows of `x` with the panels `panels`, into `out [rows, their columns]`, on
    /// one thread.
    fn multiply_panels(&self, x: &[f32], panels: Range<usize>, out: &mut [f32]) {
        let columns = self.columns(&panels);
        let depths = (0..self.input).step_by(DEPTH);
        let mut decoded = [[0.0; COLUMNS]; DEPTH];
        let mut block = |panel: usize, first_input: usize| {
            let inputs = first_input..self.input.min(first_input + DEPTH);
            let own = self.columns(&(panel..panel + 1));
            let place = Place {
                input: self.input,
                first_input,
                width: columns.len(),
                first_column: own.start - columns.start,
                columns: own.len(),
            };
            let weights = match &self.weights {
                Weights::Float(all) => all.block(panel, inputs),
                Weights::Quantized(all) => {
                    let decoded = &mut decoded[..inputs.len()];
                    all.decode(panel, inputs, decoded);
                    &*decoded
                }
            };
            tile::add(x, weights, out, place);
        };
        if x.len() <= FEW_INPUTS {
            // The weights in the order in which they lie: most of the time goes into fetching them.
            panels.for_each(|panel| depths.clone().for_each(|depth| block(panel, depth)));
        } else {
            depths.for_each(|depth| panels.clone().for_each(|panel| block(panel, depth)));
        }
    }

    fn panels(&self) -> usize {
        self.output.div_ceil(COLUMNS)
    }

    /// The columns of the panels `panels`.
    fn columns(&self, panels: &Range<usize>) -> Range<usize> {
        panels.start * COLUMNS..self.output.min(panels.end * COLUMNS)
    }
}

/// Shares of a product.
#[derive(Debug, Clone, Copy)]
struct Shares {
    /// Rows of each chunk, whole tiles.
    rows: usize,
    /// Parts into which the panels are divided for each chunk.
    panels: usize,
}
