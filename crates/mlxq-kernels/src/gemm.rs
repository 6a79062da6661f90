//! Matrix products in f32.
//!
//! Weights are packed once into panels of [`COLUMNS`] output features. A tile of [`ROWS`] rows by one
//! panel is summed in registers, each element over the inputs in their order: a row gets the same
//! bits whatever it is batched with and on any number of threads. Where the machine has fused
//! multiply-add it is used, which rounds once instead of twice; products of other shapes go through
//! the `gemm` crate.

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;

/// Output features of a panel.
const COLUMNS: usize = 16;
/// Rows of a tile.
const ROWS: usize = 6;
/// Rows that one thread takes at once: whole tiles, whose inputs stay in the first-level cache.
const CHUNK_ROWS: usize = 4 * ROWS;

/// A weight matrix packed for products with many activations.
///
/// The seam for quantized panels: whoever multiplies sees only [`Self::multiply`].
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    /// `[panels, input, COLUMNS]`, the last panel filled up with zeros.
    panels: Vec<f32>,
    input: usize,
    output: usize,
}

impl PackedMatrix {
    /// Packs `weight [output, input]`, row-major.
    ///
    /// # Panics
    /// When `weight` does not have `output * input` elements.
    pub fn new(weight: &[f32], output: usize, input: usize) -> Self {
        assert_eq!(weight.len(), output * input, "weight");
        let mut panels = vec![0.0; output.div_ceil(COLUMNS) * input * COLUMNS];
        for (row, values) in weight.chunks_exact(input).enumerate() {
            let start = row / COLUMNS * input * COLUMNS + row % COLUMNS;
            for (i, value) in values.iter().enumerate() {
                panels[start + i * COLUMNS] = *value;
            }
        }
        Self { panels, input, output }
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
        let chunks = out.par_chunks_mut(CHUNK_ROWS * self.output);
        chunks.zip(x.par_chunks(CHUNK_ROWS * self.input)).for_each(|(out, x)| {
            self.multiply_chunk(x, out);
            epilogue(out);
        });
    }

    /// The product of up to [`CHUNK_ROWS`] rows, panel by panel, on one thread.
    fn multiply_chunk(&self, x: &[f32], out: &mut [f32]) {
        for (place, panel) in self.panels.chunks_exact(self.input * COLUMNS).enumerate() {
            let first = place * COLUMNS;
            let columns = COLUMNS.min(self.output - first);
            let rows = x.chunks(ROWS * self.input);
            for (x, out) in rows.zip(out.chunks_mut(ROWS * self.output)) {
                let mut sums = [[0.0; COLUMNS]; ROWS];
                tile(x, panel, self.input, &mut sums);
                for (out, sums) in out.chunks_exact_mut(self.output).zip(&sums) {
                    out[first..first + columns].copy_from_slice(&sums[..columns]);
                }
            }
        }
    }
}

/// `sums[r] = sum over i of x[r, i] * panel[i]` for the up to [`ROWS`] rows of `x`.
fn tile(x: &[f32], panel: &[f32], input: usize, sums: &mut [[f32; COLUMNS]; ROWS]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,fma")]
        fn avx512(x: &[f32], panel: &[f32], input: usize, sums: &mut [[f32; COLUMNS]; ROWS]) {
            tile_of_rows::<true>(x, panel, input, sums);
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(x: &[f32], panel: &[f32], input: usize, sums: &mut [[f32; COLUMNS]; ROWS]) {
            tile_of_rows::<true>(x, panel, input, sums);
        }
        match Isa::current() {
            // SAFETY: `avx512` needs only features that `Avx512` proves.
            Isa::Avx512(_) => return unsafe { avx512(x, panel, input, sums) },
            // SAFETY: `avx2` needs only features that `Avx2` proves.
            Isa::Avx2(_) => return unsafe { avx2(x, panel, input, sums) },
            Isa::Portable(_) => {}
        }
    }
    // Every aarch64 machine has fused multiply-add.
    tile_of_rows::<{ cfg!(target_arch = "aarch64") }>(x, panel, input, sums);
}

/// [`tile`] with the number of rows known to the compiler, so that the sums stay in registers.
#[inline(always)]
fn tile_of_rows<const FUSED: bool>(
    x: &[f32],
    panel: &[f32],
    input: usize,
    sums: &mut [[f32; COLUMNS]; ROWS],
) {
    match x.len() / input {
        1 => accumulate::<1, FUSED>(x, panel, input, sums),
        2 => accumulate::<2, FUSED>(x, panel, input, sums),
        3 => accumulate::<3, FUSED>(x, panel, input, sums),
        4 => accumulate::<4, FUSED>(x, panel, input, sums),
        5 => accumulate::<5, FUSED>(x, panel, input, sums),
        _ => accumulate::<6, FUSED>(x, panel, input, sums),
    }
}

#[inline(always)]
fn accumulate<const R: usize, const FUSED: bool>(
    x: &[f32],
    panel: &[f32],
    input: usize,
    sums: &mut [[f32; COLUMNS]; ROWS],
) {
    let rows: [&[f32]; R] = std::array::from_fn(|row| &x[row * input..(row + 1) * input]);
    let mut local = [[0.0f32; COLUMNS]; R];
    for (i, weights) in panel.as_chunks::<COLUMNS>().0[..input].iter().enumerate() {
        for (sums, row) in local.iter_mut().zip(&rows) {
            let value = row[i];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = if FUSED { value.mul_add(*weight, *sum) } else { value * *weight + *sum };
            }
        }
    }
    sums[..R].copy_from_slice(&local);
}

/// A matrix view with strides in elements.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Matrix<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.data.len()
    }
}

/// `out = a b` on one thread, for `a [m, k]`, `b [k, n]` and `out [m, n]`, row-major.
///
/// # Panics
/// When a dimension is 0 or a matrix does not hold its elements.
pub(crate) fn product([m, n, k]: [usize; 3], a: Matrix, b: Matrix, out: &mut [f32]) {
    assert!(m > 0 && n > 0 && k > 0, "empty product");
    assert!(a.holds(m, k) && b.holds(k, n) && out.len() == m * n, "shapes");
    // SAFETY: the assertions above keep every element that the strides reach inside its slice, and
    // `out`, borrowed mutably, overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    /// The oracle is the definition in f64.
    #[test]
    fn agrees_with_the_definition_at_awkward_sizes() {
        for (rows, input, output) in
            [(1, 1, 1), (3, 7, 5), (16, 64, 33), (17, 384, 40), (70, 30, 9)]
        {
            let (x, weight) = (numbers(rows * input, 1), numbers(output * input, 2));
            let mut out = vec![0.0; rows * output];
            PackedMatrix::new(&weight, output, input).multiply(&x, &mut out, |_| ());
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

    #[test]
    fn a_row_has_the_same_bits_in_any_batch() {
        let (x, weight) = (numbers(50 * 96, 3), numbers(64 * 96, 4));
        let matrix = PackedMatrix::new(&weight, 64, 96);
        let mut together = vec![0.0; 50 * 64];
        matrix.multiply(&x, &mut together, |_| ());
        for row in 0..50 {
            let mut alone = vec![0.0; 64];
            matrix.multiply(&x[row * 96..(row + 1) * 96], &mut alone, |_| ());
            assert_eq!(alone, together[row * 64..(row + 1) * 64], "row {row}");
        }
    }
}
