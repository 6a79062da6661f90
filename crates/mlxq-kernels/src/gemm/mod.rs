//! Matrix products with weights that are packed once.
//!
//! Float weights lie in panels of f32 and are multiplied in f32. Quantized weights keep their codes,
//! and activations become integers for them ([`Activations`]). Panel after panel is multiplied with a
//! block of rows, whose sums stay in the nearest cache until the [`Epilogue`] is done with them. A row
//! gets the same bits whatever it is batched with, on any number of threads.

mod activations;
mod codes;
mod epilogue;
mod integer;
mod output;
mod panel;
#[cfg(test)]
mod tests;
mod tile;

use std::cell::RefCell;
use std::ops::Range;

pub use activations::Activations;
pub use epilogue::Epilogue;

use crate::float::Float;
use crate::pool::Pool;
use crate::quant::{Format, Stored};
use codes::{CodePanels, Words};
use integer::{Buffers, Kernel};
use output::Output;
use panel::Panels;

/// Inputs of a block of f32 weights: they stay in the first-level cache while all rows pass. A multiple
/// of every group size.
const DEPTH: usize = 256;
/// Most rows of a job, whole tiles: their inputs stay in the second-level cache while all panels pass.
const CHUNK_ROWS: usize = 16 * tile::ROWS;
/// Least rows of a job for which rows are shared out and not panels.
const FEW_ROWS: usize = 4 * tile::ROWS;
/// Least multiplications that are worth handing to another thread.
const WORTH_SHARING: usize = 1 << 19;

/// The instructions that integer products run on here, for records.
pub fn integer_isa_name() -> &'static str {
    Kernel::current().name()
}

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
    Quantized(CodePanels, Activations),
}

/// Memory of a thread that every product uses again.
#[derive(Default)]
struct Scratch {
    integers: Buffers,
    /// Quads of a panel that is stored narrower.
    quads: Vec<Words>,
    /// Sums of integer products, `[rows, codes::COLUMNS]`.
    wide: Vec<[f32; codes::COLUMNS]>,
    /// Sums of f32 products, `[rows, tile::COLUMNS]`.
    sums: Vec<[f32; tile::COLUMNS]>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
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

    /// Packs quantized `weight [output, input]`, to be multiplied with such `activations`. Affine weights
    /// keep a byte each, or half a byte if they have at most 4 bits; those of the other modes are
    /// restored to f32 and multiplied in f32.
    ///
    /// # Panics
    /// When `weight` does not have `output` rows of whole groups, `input` elements each.
    pub fn quantized(
        weight: &Stored,
        output: usize,
        input: usize,
        activations: Activations,
    ) -> Self {
        let whole = input.is_multiple_of(weight.format.group_size());
        assert!(whole && weight.holds(output * input), "weight");
        let weights = match weight.format {
            Format::Affine(affine) => {
                Weights::Quantized(CodePanels::pack([output, input], affine, weight), activations)
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
        assert!(epilogue.fits(rows, self.output), "epilogue");
        if rows == 0 {
            return;
        }
        let out = Output::new(out, self.output);
        let shares = self.shares(rows, pool.threads());
        pool.run(shares.count(), |job| {
            let (rows, panels) = shares.of(job);
            let x = &x[rows.start * self.input..rows.end * self.input];
            SCRATCH.with_borrow_mut(|scratch| {
                let block = Block { x, first_row: rows.start, panels, out: &out, epilogue };
                // SAFETY: jobs differ in rows or panels, so that this block of `out` is this job's alone.
                unsafe { self.multiply_block(block, scratch) };
            });
        });
    }

    /// The product of some rows with some panels.
    ///
    /// # Safety
    /// Nobody else may hold that block of the output.
    unsafe fn multiply_block(&self, block: Block, scratch: &mut Scratch) {
        let Block { x, first_row, panels, out, epilogue } = block;
        let rows = x.len() / self.input;
        let Scratch { integers, quads, wide, sums } = scratch;
        match &self.weights {
            Weights::Float(all) => {
                sums.resize(rows, [0.0; tile::COLUMNS]);
                for panel in panels {
                    for inputs in depths(self.input) {
                        let weights = all.block(panel, inputs.clone());
                        tile::add(x, self.input, inputs.start, weights, sums);
                    }
                    let columns = self.columns::<{ tile::COLUMNS }>(panel);
                    // SAFETY: as the caller promises.
                    unsafe { epilogue.finish(sums, first_row, columns, out) };
                }
            }
            Weights::Quantized(all, Activations::Float32) => {
                sums.resize(rows, [0.0; tile::COLUMNS]);
                let mut weights = [[0.0; tile::COLUMNS]; DEPTH];
                for (panel, half) in panels.flat_map(|panel| [(panel, 0), (panel, 1)]) {
                    let columns = self.columns::<{ tile::COLUMNS }>(2 * panel + half);
                    let panel = all.panel(panel).widened(quads);
                    for inputs in depths(self.input) {
                        let weights = &mut weights[..inputs.len()];
                        panel.decode(half * tile::COLUMNS, inputs.clone(), weights);
                        tile::add(x, self.input, inputs.start, weights, sums);
                    }
                    // SAFETY: as the caller promises.
                    unsafe { epilogue.finish(sums, first_row, columns, out) };
                }
            }
            Weights::Quantized(all, activations) => {
                wide.resize(rows, [0.0; codes::COLUMNS]);
                let kernel = Kernel::current();
                let finish = |panel: usize, sums: &mut [[f32; codes::COLUMNS]]| {
                    let columns = self.columns::<{ codes::COLUMNS }>(panel);
                    // SAFETY: as the caller promises.
                    unsafe { epilogue.finish(sums, first_row, columns, out) };
                };
                if *activations == Activations::Int8 {
                    let x = integers.quantize_i8(x, self.input, all.group_size());
                    for panel in panels {
                        let codes = kernel.prepare(all.panel(panel), quads);
                        kernel.multiply_i8(codes, x, wide);
                        finish(panel, wide);
                    }
                } else {
                    let x = integers.quantize_i16(x, self.input, all.group_size());
                    for panel in panels {
                        let codes = kernel.prepare(all.panel(panel), quads);
                        kernel.multiply_i16(codes, x, wide);
                        finish(panel, wide);
                    }
                }
            }
        }
    }

    /// How a product of `rows` rows is shared out among `threads`.
    fn shares(&self, rows: usize, threads: usize) -> Shares {
        let least = rows.div_ceil(CHUNK_ROWS);
        let even = least.next_multiple_of(threads);
        let chunks = if rows >= even * FEW_ROWS { even } else { least };
        let chunk = rows.div_ceil(chunks).next_multiple_of(tile::ROWS);
        let worth = (chunk.min(rows) * self.input * self.output / WORTH_SHARING).max(1);
        let parts = (threads / chunks).clamp(1, worth).min(self.panels());
        Shares { rows, chunk, panels: self.panels(), parts }
    }

    fn panels(&self) -> usize {
        match self.weights {
            Weights::Float(_) => self.output.div_ceil(tile::COLUMNS),
            Weights::Quantized(..) => self.output.div_ceil(codes::COLUMNS),
        }
    }

    /// The columns of the panel `panel`, where panels are `N` wide; none beyond the last.
    fn columns<const N: usize>(&self, panel: usize) -> Range<usize> {
        (panel * N).min(self.output)..((panel + 1) * N).min(self.output)
    }
}

/// Part of a product: rows `x`, of which the first is the product's row `first_row`, with some panels.
struct Block<'a> {
    x: &'a [f32],
    first_row: usize,
    panels: Range<usize>,
    out: &'a Output<'a>,
    epilogue: &'a Epilogue<'a>,
}

/// The inputs in blocks of [`DEPTH`].
fn depths(input: usize) -> impl Iterator<Item = Range<usize>> {
    (0..input).step_by(DEPTH).map(move |start| start..input.min(start + DEPTH))
}

/// Shares of a product: chunks of rows, each with its panels in several parts.
#[derive(Debug, Clone, Copy)]
struct Shares {
    rows: usize,
    /// Rows of a chunk, whole tiles.
    chunk: usize,
    panels: usize,
    /// Parts into which the panels are divided for each chunk.
    parts: usize,
}

impl Shares {
    fn count(&self) -> usize {
        self.rows.div_ceil(self.chunk) * self.parts
    }

    /// The rows and panels of a share.
    fn of(&self, share: usize) -> (Range<usize>, Range<usize>) {
        let (chunk, part) = (share / self.parts, share % self.parts);
        let rows = chunk * self.chunk..self.rows.min((chunk + 1) * self.chunk);
        let bound = |part: usize| part * self.panels / self.parts;
        (rows, bound(part)..bound(part + 1))
    }
}
