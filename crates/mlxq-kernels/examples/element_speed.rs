//! The speed of attention, of the element functions and of normalizations on one thread, in memory.
//!
//! Attention is counted by its two products (and those with the tables of a relative attention) over
//! all pairs of tokens; the others by element, over numbers that stay in the nearest cache.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;

use mlxq_kernels::attention::{Mask, Relative, Rows, Spec, attention};
use mlxq_kernels::pool::Pool;
use mlxq_kernels::{activation, norm};

/// Tokens of a row.
const LENGTHS: [usize; 5] = [10, 64, 128, 256, 512];
/// Heads and the size of each, as in all-MiniLM-L6-v2 and in models of BERT-base's shape.
const HEADS: [[usize; 2]; 2] = [[12, 32], [12, 64]];
/// Rounds, each of at least a millisecond; the fastest counts.
const ROUNDS: usize = 25;

fn main() -> std::io::Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "one thread, {}; least of {ROUNDS}", mlxq_kernels::isa_name())?;
    for [heads, size] in HEADS {
        for length in LENGTHS {
            measure_attention([heads, size], length, &mut stdout)?;
        }
    }
    measure_elements(&mut stdout)
}

fn measure_attention(
    [heads, size]: [usize; 2],
    length: usize,
    stdout: &mut impl Write,
) -> std::io::Result<()> {
    let width = heads * size;
    let products = numbers(length * width * 3);
    let inputs = [0, 1, 2].map(|part| Rows { data: &products[part * width..], stride: 3 * width });
    let tables = numbers((2 * length - 1) * width);
    let buckets: Vec<u32> = (0..2 * length as u32 - 1).collect();
    let relative =
        Relative { buckets: &buckets, bias: None, key: Some(&tables), query: Some(&tables) };
    let bias = Relative { bias: Some(&tables), key: None, query: None, ..relative };
    let pool = Pool::new(1);
    let mut out = vec![0.0; length * width];
    write!(stdout, "{heads} heads of {size}, {length:3} tokens:")?;
    for (name, mask, relative, products) in [
        ("full", Mask::Full, None, 2),
        ("window 64", Mask::Window(64), None, 2),
        ("bias", Mask::Full, Some(bias), 2),
        ("tables", Mask::Full, Some(relative), 4),
    ] {
        let spec = Spec { heads, scale: 1.0 / (size as f32).sqrt(), mask, relative };
        let seconds = least(|| attention(&pool, inputs, &[0, length], &spec, black_box(&mut out)));
        let rate = (products * length * length * width) as f64 / seconds * 1e-9;
        write!(stdout, "  {name} {:.1} us {rate:.1} G/s", seconds * 1e6)?;
    }
    writeln!(stdout)
}

type Function = fn(&mut [f32]);

fn measure_elements(stdout: &mut impl Write) -> std::io::Result<()> {
    const WIDTH: usize = 384;
    const COUNT: usize = 12 * WIDTH;
    let x = numbers(COUNT);
    let mut out = vec![0.0; COUNT];
    let (weight, bias) = (numbers(WIDTH), numbers(WIDTH));
    let mut print = |name: &str, seconds: f64| {
        writeln!(stdout, "{name}: {:.3} ns an element", seconds * 1e9 / COUNT as f64)
    };
    let functions: [(&str, Function); 6] = [
        ("gelu", activation::gelu),
        ("gelu_tanh", activation::gelu_tanh),
        ("silu", activation::silu),
        ("tanh", activation::tanh),
        ("quick_gelu", activation::quick_gelu),
        ("relu", activation::relu),
    ];
    for (name, function) in functions {
        let seconds = least(|| {
            let out = black_box(&mut out);
            out.copy_from_slice(&x);
            function(out);
        });
        print(name, seconds)?;
    }
    let normal = least(|| norm::layer_norm(&x, black_box(&mut out), &weight, &bias, 1e-12));
    print("layer_norm", normal)
}

/// Seconds of a call in the fastest round.
fn least(mut work: impl FnMut()) -> f64 {
    let mut time = |calls: usize| {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        start.elapsed().as_secs_f64()
    };
    let once = time(1).min(time(1));
    let calls = (1e-3 / once) as usize + 1;
    (0..ROUNDS).map(|_| time(calls) / calls as f64).fold(f64::INFINITY, f64::min)
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
