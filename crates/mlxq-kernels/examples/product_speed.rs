//! Products of weights as f32 panels and as panels that stay quantized, and the packing of both, in
//! memory: what `cargo xtask bench start` prints beside the times of whole processes.
//!
//! The argument is the number of threads.

use std::io::Write;
use std::time::Instant;

use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::{Epilogue, PackedMatrix};
use mlxq_kernels::pool::Pool;
use mlxq_kernels::quant::{Encoded, Format, Stored};

const SHAPES: [[usize; 2]; 3] = [[768, 768], [3072, 768], [768, 3072]];
const ROWS: [usize; 4] = [1, 12, 64, 512];
/// Weights of all matrices of a product.
const WEIGHTS: usize = 1 << 24;
const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let pool = Pool::new(threads);
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{threads} threads, {}; least of {ROUNDS}", mlxq_kernels::isa_name())?;
    for shape in SHAPES {
        measure(&pool, shape, &mut stdout)?;
    }
    Ok(())
}

fn measure(
    pool: &Pool,
    [output, input]: [usize; 2],
    stdout: &mut impl Write,
) -> std::io::Result<()> {
    let format = Format::new("affine", Some(8), Some(64)).expect("a format");
    let (mut bytes, mut encoded) = (Vec::new(), Encoded::default());
    Float::F32.encode(&numbers(output * input), &mut bytes);
    assert!(format.encode(Float::F32, Float::F32, &bytes, &mut encoded), "numbers are finite");
    let Encoded { words, scales, biases } = &encoded;
    let stored = Stored { format, float: Float::F32, words, scales, biases };
    let [float, quantized] = [
        least(|| PackedMatrix::of_bytes(Float::F32, &bytes, output, input)),
        least(|| PackedMatrix::quantized(&stored, output, input)),
    ];
    let size = (output * input) as f64;
    writeln!(
        stdout,
        "{output} x {input}: packed in {:.0} us from f32, {:.0} us from 8 bits",
        float * 1e6,
        quantized * 1e6
    )?;
    // Matrix after matrix, as in a model, whose weights are more than the caches hold.
    let copies = WEIGHTS / (output * input);
    let float = vec![PackedMatrix::of_bytes(Float::F32, &bytes, output, input); copies];
    let quantized = vec![PackedMatrix::quantized(&stored, output, input); copies];
    for rows in ROWS {
        let (x, mut out) = (numbers(rows * input), vec![0.0; rows * output]);
        let mut rate = |matrices: &[PackedMatrix]| {
            let seconds = least(|| {
                for matrix in matrices {
                    let out = std::hint::black_box(&mut out);
                    matrix.multiply(pool, &x, out, &Epilogue::default());
                }
            });
            (rows * matrices.len()) as f64 * size / seconds * 1e-9
        };
        let (float, quantized) = (rate(&float), rate(&quantized));
        let ratio = quantized / float;
        writeln!(
            stdout,
            "  {rows:3} rows: {float:5.1} G multiplications/s in f32, {quantized:5.1} quantized, {ratio:.2} x"
        )?;
    }
    Ok(())
}

/// Seconds of the fastest round.
fn least<T>(mut work: impl FnMut() -> T) -> f64 {
    let round = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64()
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

/// Numbers between -0.5 and 0.5.
fn numbers(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    std::iter::repeat_with(next).take(count).collect()
}
