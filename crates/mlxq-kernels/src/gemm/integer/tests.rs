//! Integer products against f64, and all kernels against the definition.

use super::*;
use crate::float::Float;
use crate::gemm::Activations;
use crate::gemm::codes::CodePanels;
use crate::quant::{Affine, Encoded, Format, Stored};

/// Numbers between -1 and 1.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A quantized matrix and its weights, restored.
struct Quantized {
    panels: CodePanels,
    restored: Vec<f32>,
    output: usize,
    input: usize,
}

impl Quantized {
    /// Weights in affine `bits` and groups.
    fn new(weights: &[f32], [output, input]: [usize; 2], bits: u32, group_size: usize) -> Self {
        let affine = Affine::new(bits, group_size).expect("known");
        let (mut bytes, mut encoded) = (Vec::new(), Encoded::default());
        Float::F32.encode(weights, &mut bytes);
        assert!(Format::Affine(affine).encode(Float::F32, Float::F32, &bytes, &mut encoded));
        Self::of(affine, &encoded, [output, input])
    }

    fn of(affine: Affine, encoded: &Encoded, [output, input]: [usize; 2]) -> Self {
        let Encoded { words, scales, biases } = encoded;
        let stored =
            Stored { format: Format::Affine(affine), float: Float::F32, words, scales, biases };
        let mut restored = vec![0.0; output * input];
        stored.restore(0, &mut restored);
        let panels = CodePanels::pack([output, input], affine, &stored);
        Self { panels, restored, output, input }
    }

    /// The product by `kernel`, `[rows, output]`.
    fn product(&self, kernel: Kernel, x: &[f32], activations: Activations) -> Vec<f32> {
        let rows = x.len() / self.input;
        let mut out = vec![0.0; rows * self.output];
        let (mut buffers, mut quads) = (Buffers::default(), Vec::new());
        for panel in 0..self.output.div_ceil(COLUMNS) {
            let mut sums = vec![[f32::NAN; COLUMNS]; rows];
            let size = self.panels.group_size();
            let own = kernel.prepare(self.panels.panel(panel), &mut quads);
            match activations {
                Activations::Int8 => {
                    kernel.multiply_i8(own, buffers.quantize_i8(x, self.input, size), &mut sums);
                }
                _ => kernel.multiply_i16(own, buffers.quantize_i16(x, self.input, size), &mut sums),
            }
            for (row, sums) in sums.iter().enumerate() {
                let first = panel * COLUMNS;
                let count = COLUMNS.min(self.output - first);
                out[row * self.output + first..][..count].copy_from_slice(&sums[..count]);
            }
        }
        out
    }

    /// The definition in f64, and beside each number the sum of the magnitudes of its terms.
    fn exact(&self, x: &[f32]) -> Vec<[f64; 2]> {
        let rows = x.chunks_exact(self.input);
        let number = |x: &[f32], weights: &[f32]| {
            let terms = x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
            terms.fold([0.0, 0.0], |[sum, size], term| [sum + term, size + term.abs()])
        };
        rows.flat_map(|x| self.restored.chunks_exact(self.input).map(move |w| number(x, w)))
            .collect()
    }
}

const BITS: [u32; 6] = [2, 3, 4, 5, 6, 8];
const GROUP_SIZES: [usize; 3] = [32, 64, 128];

/// Rows that are hard on integers: one number 10^4 times the others, a group of zeros, all zeros,
/// all alike and as large as `largest`, subnormals, and numbers that alternate.
fn adversarial(input: usize, largest: f32) -> Vec<f32> {
    let mut rows = numbers(7 * input, 5);
    let (large, rest) = rows.split_at_mut(input);
    large[input / 3] = 1e4;
    rest[..input / 2].fill(0.0);
    rest[input..2 * input].fill(0.0);
    rest[2 * input..3 * input].fill(largest);
    rest[3 * input..4 * input].iter_mut().for_each(|x| *x *= 1e-39);
    for (i, x) in rest[4 * input..5 * input].iter_mut().enumerate() {
        *x = if i % 2 == 0 { 1.0 } else { -1.0 };
    }
    rows
}

/// Each activation is off by at most half a step of its row, so a product by at most the half step
/// times the sum of the weights' magnitudes; and by f32's rounding of the terms, which with the largest
/// codes are 2^8 times what is left of them. Subnormals count as 0, which is off by themselves.
#[test]
fn products_of_16_bits_agree_with_f64() {
    for (bits, size) in BITS.into_iter().flat_map(|b| GROUP_SIZES.map(|size| (b, size))) {
        let (output, input) = (45, 3 * 128);
        let matrix = Quantized::new(&numbers(output * input, 6), [output, input], bits, size);
        let mut x = numbers(9 * input, 7);
        x.extend(adversarial(input, 1e35));
        let exact = matrix.exact(&x);
        for kernel in Kernel::available(Isa::current()) {
            let got = matrix.product(kernel, &x, Activations::Int16);
            for (place, (got, [want, size])) in got.iter().zip(&exact).enumerate() {
                let (row, column) = (place / output, place % output);
                let x = &x[row * input..][..input];
                let largest = x.iter().fold(0.0f64, |a, b| a.max(f64::from(b.abs())));
                let weights = &matrix.restored[column * input..][..input];
                let weights: f64 = weights.iter().map(|w| f64::from(w.abs())).sum();
                let step = largest / 32639.0 / 2.0 * weights;
                let bound = step * 1.001 + size * 4e-6 + 1e-30;
                let off = (f64::from(*got) - want).abs();
                assert!(off <= bound, "{kernel:?} {bits} bits: row {row}, {got} {want}, {bound:e}");
            }
        }
    }
}

/// As above, with the step of each row's group.
#[test]
fn products_of_8_bits_agree_with_f64() {
    for (bits, size) in [(8, 64), (4, 32), (6, 128)] {
        let (output, input) = (45, 3 * 128);
        let matrix = Quantized::new(&numbers(output * input, 6), [output, input], bits, size);
        let mut x = numbers(9 * input, 7);
        x.extend(adversarial(input, 1e33));
        let exact = matrix.exact(&x);
        for kernel in Kernel::available(Isa::current()) {
            let got = matrix.product(kernel, &x, Activations::Int8);
            for (place, (got, [want, magnitude])) in got.iter().zip(&exact).enumerate() {
                let (row, column) = (place / output, place % output);
                let groups = x[row * input..][..input].chunks_exact(size);
                let weights = matrix.restored[column * input..][..input].chunks_exact(size);
                let steps = groups.zip(weights).map(|(x, w)| {
                    let largest = x.iter().fold(0.0f64, |a, b| a.max(f64::from(b.abs())));
                    largest / 127.0 / 2.0 * w.iter().map(|w| f64::from(w.abs())).sum::<f64>()
                });
                let bound = steps.sum::<f64>() * 1.001 + magnitude * 4e-6 + 1e-30;
                let off = (f64::from(*got) - want).abs();
                assert!(off <= bound, "{kernel:?}: row {row}, {got} {want}, {bound:e}");
            }
        }
    }
}

/// The oracle is the portable kernel, whose own oracle is f64. 1 to 14 rows make tiles of every size.
#[test]
fn all_kernels_have_the_same_bits() {
    let (output, input) = (70, 256);
    for (bits, size) in BITS.into_iter().flat_map(|b| GROUP_SIZES.map(|size| (b, size))) {
        let matrix = Quantized::new(&numbers(output * input, 8), [output, input], bits, size);
        let mut x = numbers(7 * input, 9);
        x.extend(adversarial(input, 1e33));
        for activations in [Activations::Int16, Activations::Int8] {
            for rows in 1..=14 {
                let x = &x[(14 - rows) * input..];
                let want = matrix.product(Kernel::Portable, x, activations);
                for kernel in Kernel::available(Isa::current()) {
                    let got = matrix.product(kernel, x, activations);
                    let same = got.iter().zip(&want).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{kernel:?} {activations:?} {bits} bits, {size}, {rows} rows");
                }
            }
        }
    }
}

/// The largest sums there are: all codes 255, all activations at the end of their range, groups of
/// 128. By hand: each group's sum is 128 * 255 * 32639 = 1,065,336,960, below 2^31; weights are 255 * 1.
#[test]
fn the_largest_sums_do_not_overflow() {
    let (output, input) = (32, 256);
    let affine = Affine::new(8, 128).expect("known");
    let ones: Vec<u8> = std::iter::repeat_n(1.0f32.to_le_bytes(), 64).flatten().collect();
    let encoded =
        Encoded { words: vec![255; output * input], scales: ones, biases: vec![0; 64 * 4] };
    let matrix = Quantized::of(affine, &encoded, [output, input]);
    for sign in [1.0, -1.0] {
        let x = vec![sign * 32639.0; 2 * input];
        for kernel in Kernel::available(Isa::current()) {
            let got = matrix.product(kernel, &x, Activations::Int16);
            let want = sign * 2.0 * 1_065_336_960.0;
            assert!(got.iter().all(|x| (x / want - 1.0).abs() < 1e-6), "{kernel:?} {got:?}");
            let got = matrix.product(kernel, &x, Activations::Int8);
            assert!(got.iter().all(|x| (x / want - 1.0).abs() < 1e-6), "{kernel:?} {got:?}");
        }
    }
}

/// A number that is none must not become one.
#[test]
fn rows_with_nan_or_infinity_give_nan() {
    let matrix = Quantized::new(&numbers(32 * 128, 1), [32, 128], 8, 64);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = numbers(2 * 128, 2);
        x[70] = bad;
        for kernel in Kernel::available(Isa::current()) {
            for activations in [Activations::Int16, Activations::Int8] {
                let got = matrix.product(kernel, &x, activations);
                assert!(got[..32].iter().all(|x| x.is_nan()), "{kernel:?} {bad}");
                assert!(got[32..].iter().all(|x| x.is_finite()), "{kernel:?} {bad}");
            }
        }
    }
}
