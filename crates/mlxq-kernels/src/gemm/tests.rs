//! Products against their definition, and quantized panels against restored ones.

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
    // What stands in `out` before must not count.
    let mut out = vec![f32::NAN; x.len() / matrix.input() * matrix.output()];
    matrix.multiply(&Pool::new(threads), x, &mut out, &Epilogue::default());
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
                    .map(|i| f64::from(x[row * input + i]) * f64::from(weight[column * input + i]))
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
        let Shares { chunk, parts, .. } = matrix.shares(rows, threads);
        (chunk, parts)
    };
    assert_eq!(shares(12, 1), (12, 1));
    assert_eq!(shares(12, 2), (12, 2));
    assert_eq!(shares(1, 2), (6, 1), "half a million products each");
    assert_eq!(shares(12, 100), (12, 12), "half a million products each");
    assert_eq!(shares(60, 2), (30, 1));
    assert_eq!(shares(320, 2), (84, 1));
    assert_eq!(shares(96, 16), (96, 16));
}

/// The oracle is the same arithmetic after the product.
#[test]
fn the_epilogue_is_applied_to_every_number_once() {
    let (x, weight) = (numbers(100 * 256, 5), numbers(1000 * 256, 6));
    let (bias, residual) = (numbers(1000, 7), numbers(100 * 1000, 8));
    let matrix = PackedMatrix::new(&weight, 1000, 256);
    let double: fn(&mut [f32]) = |x| x.iter_mut().for_each(|x| *x *= 2.0);
    for (rows, threads) in [(100, 2), (9, 4), (1, 2)] {
        let x = &x[..rows * 256];
        let mut out = vec![f32::NAN; rows * 1000];
        let epilogue = Epilogue {
            bias: Some(&bias),
            activation: Some(double),
            residual: Some(&residual[..rows * 1000]),
        };
        matrix.multiply(&Pool::new(threads), x, &mut out, &epilogue);
        let plain = product(&matrix, x, 1);
        let want = |(i, x): (usize, &f32)| (x + bias[i % 1000]) * 2.0 + residual[i];
        let want: Vec<f32> = plain.iter().enumerate().map(want).collect();
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
            let matrix = PackedMatrix::quantized(&stored, output, 384, Activations::Float32);
            let is_affine = matches!(format, Format::Affine(_));
            assert_eq!(matches!(matrix.weights, Weights::Quantized(..)), is_affine);
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
        let panels = CodePanels::pack([output, input], affine, &stored);
        for (panel, half) in [(0, 0), (0, 1), (1, 0)] {
            let mut buffer = Vec::new();
            let mut block = [[0.0; 16]; 96];
            panels.panel(panel).widened(&mut buffer).decode(half * 16, 0..96, &mut block);
            for (i, weights) in block.iter().enumerate() {
                for (column, weight) in weights.iter().enumerate() {
                    let want = restored[(panel * 32 + half * 16 + column) * input + i];
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
