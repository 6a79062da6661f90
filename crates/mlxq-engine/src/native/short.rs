//! Whether the products of a short text are worth sharing out, tried when an engine starts.

use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::{Activations, Epilogue, PackedMatrix};
use mlxq_kernels::pool::Pool;
use mlxq_kernels::quant::{Format, Stored};

/// A layer of BERT-base and a sentence.
const WIDTH: usize = 768;
const TOKENS: usize = 12;
/// Times as fast from which on a second thread is not better left to others.
const WORTH_IT: f64 = 1.15;

/// Whether the threads of `pool` together multiply a sentence's vectors faster than one of them:
/// hyperthreads of one core do not.
pub(super) fn pays(pool: &Pool) -> bool {
    let Ok(format) = Format::new("affine", Some(8), Some(64)) else { return true };
    if pool.threads() == 1 {
        return false;
    }
    // Zeros take as long as other numbers.
    let (words, groups) = (vec![0; WIDTH * WIDTH], vec![0; WIDTH * WIDTH / 64 * 4]);
    let (scales, biases) = (groups.as_slice(), groups.as_slice());
    let stored = Stored { format, float: Float::F32, words: &words, scales, biases };
    let matrix = PackedMatrix::quantized(&stored, WIDTH, WIDTH, Activations::Int16);
    let (x, mut out) = (vec![1.0; TOKENS * WIDTH], vec![0.0; TOKENS * WIDTH]);
    pool.gain(|pool| matrix.multiply(pool, &x, &mut out, &Epilogue::default())) >= WORTH_IT
}
