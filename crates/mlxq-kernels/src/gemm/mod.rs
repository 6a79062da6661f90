//! Matrix products in f32.
//!
//! Weights are packed once into panels of 16 output features, as f32 or still quantized. A tile of 6
//! rows by one panel is summed in registers, each element over the inputs in their order: a row gets
//! the same bits whatever it is batched with, on any number of threads, and from quantized panels the
//! same as from their restored numbers. Products of other shapes go through the `gemm` crate.

mod panel;
mod quantized;
mod strided;
mod tile;

use std::ops::Range;

use rayon::prelude::*;

pub(crate) use strided::{Matrix, product};

use crate::float::Float;
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

    /// `out[r, o] = sum over i of x[r, i] * weight[o, i]`, then `epilogue` on every finished chunk of
    /// rows of `out [rows, output]`.
    ///
    /// # Panics
    /// When `x` is not `[rows, input]` or `out` not `[rows, output]`.
    pub fn multiply(&self, x: &[f32], out: &mut [f32], epilogue: impl Fn(&mut [f32]) + Sync) {
        let rows = out.len() / self.output;
        assert_eq!((x.len(), out.len()), (rows * self.input, rows * self.output), "shapes");
        let Shares { rows, panels } = self.shares(rows, rayon::current_num_threads());
        let chunks = out.par_chunks_mut(rows * self.output).zip(x.par_chunks(rows * self.input));
        chunks.for_each(|(out, x)| match panels {
            1 => {
                self.multiply_panels(x, 0..self.panels(), out);
                epilogue(out);
            }
            _ => self.multiply_shared(x, panels, out, &epilogue),
        });
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
    fn multiply_shared(
        &self,
        x: &[f32],
        shares: usize,
        out: &mut [f32],
        epilogue: &(impl Fn(&mut [f32]) + Sync),
    ) {
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
            epilogue(out);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::{Affine, Encoded, Floating};

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    /// The product on a pool of `threads` threads.
    fn product(matrix: &PackedMatrix, x: &[f32], threads: usize) -> Vec<f32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        // What stands in `out` before must not count.
        let mut out = vec![f32::NAN; x.len() / matrix.input() * matrix.output()];
        pool.install(|| matrix.multiply(x, &mut out, |_| ()));
        out
    }

    fn bits(numbers: &[f32]) -> Vec<u32> {
        numbers.iter().map(|x| x.to_bits()).collect()
    }

    /// The oracle is the definition in f64.
    #[test]
    fn agrees_with_the_definition_at_awkward_sizes() {
        for (rows, input, output) in
            [(1, 1, 1), (3, 7, 5), (16, 64, 33), (17, 600, 40), (70, 30, 9), (200, 257, 48)]
        {
            let (x, weight) = (numbers(rows * input, 1), numbers(output * input, 2));
            let out = product(&PackedMatrix::new(&weight, output, input), &x, 2);
            for row in 0..rows {
                for column in 0..output {
                    let want: f64 = (0..input)
                        .map(|i| {
                            f64::from(x[row * input + i]) * f64::from(weight[column * input + i])
                        })
                        .sum();
                    let got = f64::from(out[row * output + column]);
                    assert!((got - want).abs() < 1e-6 * input as f64, "{rows} {input} {output}");
                }
            }
        }
    }

    /// Wide enough that the panels are shared out.
    #[test]
    fn a_row_has_the_same_bits_in_any_batch_and_on_any_threads() {
        let (input, output, rows) = (512, 520, 203);
        let (x, weight) = (numbers(rows * input, 3), numbers(output * input, 4));
        let matrix = PackedMatrix::new(&weight, output, input);
        let together = product(&matrix, &x, 1);
        for (rows, threads) in [(203, 2), (203, 7), (50, 3), (7, 2), (1, 1), (1, 5)] {
            let some = product(&matrix, &x[..rows * input], threads);
            assert_eq!(bits(&some), bits(&together[..rows * output]), "{rows} on {threads}");
        }
        let last = product(&matrix, &x[202 * input..], 2);
        assert_eq!(bits(&last), bits(&together[202 * output..]));
    }

    #[test]
    fn few_rows_share_out_panels_and_many_do_not() {
        let matrix = PackedMatrix::new(&numbers(1024 * 512, 1), 1024, 512);
        let shares = |rows, threads| {
            let Shares { rows, panels } = matrix.shares(rows, threads);
            (rows, panels)
        };
        assert_eq!(shares(12, 1), (12, 1));
        assert_eq!(shares(12, 2), (12, 2));
        assert_eq!(shares(1, 2), (6, 2));
        assert_eq!(shares(12, 100), (12, 12), "half a million products each");
        assert_eq!(shares(60, 2), (30, 1));
        assert_eq!(shares(320, 2), (84, 1));
        assert_eq!(shares(96, 16), (96, 16));
    }

    #[test]
    fn the_epilogue_sees_every_row_once() {
        let (x, weight) = (numbers(100 * 256, 5), numbers(1000 * 256, 6));
        let matrix = PackedMatrix::new(&weight, 1000, 256);
        for (rows, threads) in [(100, 2), (9, 4), (1, 2)] {
            let x = &x[..rows * 256];
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut out = vec![0.0; rows * 1000];
            pool.expect("a pool").install(|| {
                matrix.multiply(x, &mut out, |block| {
                    assert!(block.len().is_multiple_of(1000), "whole rows");
                    block.iter_mut().for_each(|x| *x += 1.0);
                });
            });
            let want: Vec<f32> = product(&matrix, x, 1).iter().map(|x| x + 1.0).collect();
            assert_eq!(bits(&out), bits(&want), "{rows} rows on {threads}");
        }
    }

    fn formats() -> Vec<Format> {
        let sizes = |bits| Affine::GROUP_SIZES.map(|size| Affine::new(bits, size).expect("known"));
        let affine = Affine::BITS.into_iter().flat_map(sizes).map(Format::Affine);
        affine.chain(Floating::ALL.map(Format::Floating)).collect()
    }

    /// The oracle is the product of what [`Packed::restore`](crate::quant::Packed::restore) gives,
    /// whose bits are tested against MLX. The words begin at odd addresses, as they may in files.
    #[test]
    fn quantized_panels_have_the_bits_of_their_restored_numbers() {
        let x = numbers(31 * 384, 7);
        for format in formats() {
            for (float, output) in [(Float::F32, 40), (Float::F16, 9), (Float::BF16, 16)] {
                let (mut bytes, mut encoded) = (Vec::new(), Encoded::default());
                float.encode(&numbers(output * 384, 8), &mut bytes);
                assert!(format.encode(float, float, &bytes, &mut encoded));
                let [words, scales, biases] = [&encoded.words, &encoded.scales, &encoded.biases]
                    .map(|bytes| [&[0], bytes.as_slice()].concat());
                let stored = Stored {
                    format,
                    float,
                    words: &words[1..],
                    scales: &scales[1..],
                    biases: &biases[1..],
                };
                let restored = PackedMatrix::new(&restored(&stored, output * 384), output, 384);
                let matrix = PackedMatrix::quantized(&stored, output, 384);
                let is_affine = matches!(format, Format::Affine(_));
                assert_eq!(matches!(matrix.weights, Weights::Quantized(_)), is_affine);
                for rows in [1, 31] {
                    let x = &x[..rows * 384];
                    let (want, found) = (product(&restored, x, 1), product(&matrix, x, 2));
                    assert_eq!(bits(&found), bits(&want), "{format:?}, {float:?}, {rows} rows");
                }
            }
        }
    }

    /// Scales and biases of every kind, infinities and NaNs included.
    #[test]
    fn decoding_has_the_bits_of_restoring_for_any_scales() {
        let mut state = 9u32;
        let mut bytes = |count: usize| -> Vec<u8> {
            let next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            std::iter::repeat_with(next).take(count).collect()
        };
        for bits_per_code in Affine::BITS {
            let affine = Affine::new(bits_per_code, 32).expect("known");
            let (output, input) = (48, 96);
            let words = bytes(output * input / 8 * bits_per_code as usize);
            let [scales, biases] = [0; 2].map(|_| bytes(output * input / 32 * 4));
            let [words, scales, biases] = [&words, &scales, &biases];
            let format = Format::Affine(affine);
            let stored = Stored { format, float: Float::F32, words, scales, biases };
            let restored = restored(&stored, output * input);
            let panels = QuantizedPanels::pack([output, input], affine, &stored);
            for panel in 0..3 {
                let mut block = [[0.0; COLUMNS]; 96];
                panels.decode(panel, 0..96, &mut block);
                for (i, weights) in block.iter().enumerate() {
                    for (column, weight) in weights.iter().enumerate() {
                        let want = restored[(panel * COLUMNS + column) * input + i];
                        let same = weight.to_bits() == want.to_bits();
                        assert!(same || weight.is_nan() && want.is_nan(), "{weight} {want}");
                    }
                }
            }
        }
    }

    /// All numbers by [`Packed::restore`](crate::quant::Packed::restore), not by way of `stored`'s own.
    fn restored(stored: &Stored, count: usize) -> Vec<f32> {
        use crate::quant::{Packed, Scales};
        let decoded = |bytes: &[u8]| {
            let mut numbers = vec![0.0; bytes.len() / stored.float.size()];
            stored.float.decode(bytes, &mut numbers);
            numbers
        };
        let scales = match stored.format {
            Format::Affine(_) => {
                Scales::Affine { scales: decoded(stored.scales), biases: decoded(stored.biases) }
            }
            Format::Floating(_) => Scales::Floating(stored.scales.to_vec()),
        };
        let words = stored.words.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word));
        let mut numbers = vec![0.0; count];
        let packed = Packed { format: stored.format, words: words.collect(), scales };
        packed.restore(Float::F32, 0, &mut numbers);
        numbers
    }
}
