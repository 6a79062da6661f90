//! Products of packed weights, 10^9 multiplications a second, and the time of packing.
//!
//! The argument is the number of threads.

use std::io::Write;
use std::time::Instant;

use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::{Activations, Epilogue, PackedMatrix};
use mlxq_kernels::pool::Pool;
use mlxq_kernels::quant::{Encoded, Format, Stored};

const SHAPES: [[usize; 2]; 4] = [[384, 384], [768, 768], [3072, 768], [768, 3072]];
const ROWS: [usize; 6] = [1, 8, 12, 32, 128, 512];
/// Weights of all matrices of a product.
const WEIGHTS: usize = 1 << 24;
const ROUNDS: usize = 15;

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
    let mut bytes = Vec::new();
    Float::F32.encode(&numbers(output * input), &mut bytes);
    let [eight, four] = [8, 4].map(|bits| {
        let (format, mut encoded) =
            (Format::new("affine", Some(bits), Some(64)), Encoded::default());
        let format = format.expect("a format");
        assert!(format.encode(Float::F32, Float::F32, &bytes, &mut encoded), "numbers are finite");
        (format, encoded)
    });
    let pack = |(format, encoded): &(Format, Encoded), activations| {
        let Encoded { words, scales, biases } = encoded;
        let stored = Stored { format: *format, float: Float::F32, words, scales, biases };
        PackedMatrix::quantized(&stored, output, input, activations)
    };
    let float = || PackedMatrix::of_bytes(Float::F32, &bytes, output, input);
    let matrices = [
        ("f32", float()),
        ("8 bits f32", pack(&eight, Activations::F32)),
        ("8 bits i16", pack(&eight, Activations::I16)),
        ("8 bits i8", pack(&eight, Activations::I8)),
        ("4 bits i16", pack(&four, Activations::I16)),
    ];
    writeln!(
        stdout,
        "{output} x {input}: packed in {:.0} us from f32, {:.0} us from 8 bits",
        least(float) * 1e6,
        least(|| pack(&eight, Activations::I16)) * 1e6
    )?;
    for (place, copies) in [("in cache", 1), ("beyond", WEIGHTS / (output * input))] {
        for rows in ROWS {
            let (x, mut out) = (numbers(rows * input), vec![0.0; rows * output]);
            write!(stdout, "  {place:8} {rows:3} rows:")?;
            for (name, matrix) in &matrices {
                // Matrix after matrix, as in a model.
                let matrices = vec![matrix.clone(); copies];
                let seconds = least(|| {
                    for matrix in &matrices {
                        let out = std::hint::black_box(&mut out);
                        matrix.multiply(pool, &x, out, &Epilogue::default());
                    }
                });
                let rate = (rows * copies * output * input) as f64 / seconds * 1e-9;
                write!(stdout, "  {name} {rate:5.1}")?;
            }
            writeln!(stdout)?;
        }
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
