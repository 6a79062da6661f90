//! Matrix products in f32, over the `gemm` crate.
//!
//! That crate picks its blocking, and so the order of its sums, by the shape. A product is therefore
//! cut into blocks of [`BLOCK_ROWS`] rows, the last one filled up with zeros: a row gets the same
//! bits whatever it is batched with and on any number of threads.

use rayon::prelude::*;

/// Rows of one call of the underlying product.
const BLOCK_ROWS: usize = 16;

/// A weight matrix laid out for products with many activations.
///
/// The seam for packed, quantized panels: whoever multiplies sees only [`Self::multiply`].
#[derive(Debug, Clone)]
pub struct PackedMatrix {
    /// `[input, output]`, so that the outputs of one step are contiguous.
    data: Vec<f32>,
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
        let mut data = vec![0.0; weight.len()];
        for (row, values) in weight.chunks_exact(input).enumerate() {
            for (column, value) in values.iter().enumerate() {
                data[column * output + row] = *value;
            }
        }
        Self { data, input, output }
    }

    /// Number of input features.
    pub fn input(&self) -> usize {
        self.input
    }

    /// Number of output features.
    pub fn output(&self) -> usize {
        self.output
    }

    /// `out[r, o] = sum over i of x[r, i] * weight[o, i]`, then `epilogue` on every finished block of
    /// rows of `out [rows, output]`.
    ///
    /// # Panics
    /// When `x` is not `[rows, input]` or `out` not `[rows, output]`.
    pub fn multiply(&self, x: &[f32], out: &mut [f32], epilogue: impl Fn(&mut [f32]) + Sync) {
        let rows = out.len() / self.output;
        assert_eq!((x.len(), out.len()), (rows * self.input, rows * self.output), "shapes");
        let blocks = out.par_chunks_mut(BLOCK_ROWS * self.output);
        blocks.zip(x.par_chunks(BLOCK_ROWS * self.input)).for_each(|(out, x)| {
            self.multiply_block(x, out);
            epilogue(out);
        });
    }

    fn multiply_block(&self, x: &[f32], out: &mut [f32]) {
        if out.len() == BLOCK_ROWS * self.output {
            return self.multiply_full_block(x, out);
        }
        let mut padded = vec![0.0; BLOCK_ROWS * self.input];
        padded[..x.len()].copy_from_slice(x);
        let mut result = vec![0.0; BLOCK_ROWS * self.output];
        self.multiply_full_block(&padded, &mut result);
        out.copy_from_slice(&result[..out.len()]);
    }

    fn multiply_full_block(&self, x: &[f32], out: &mut [f32]) {
        let x = Matrix { data: x, row_stride: self.input, column_stride: 1 };
        let weight = Matrix { data: &self.data, row_stride: self.output, column_stride: 1 };
        product([BLOCK_ROWS, self.output, self.input], x, weight, out);
    }
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
