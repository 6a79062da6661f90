//! One side of `cargo xtask bench quantize`: for every line `f32`, `f16`, `bf16` or `copy` it quantizes, or
//! copies, the same numbers once, on one thread, and answers with the seconds of CPU time and of wall time;
//! for `isa`, with the instruction set it runs on.

use std::io::{BufRead, Write};
use std::time::Instant;

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::{Encoded, Format};

/// A matrix of 4096 by 4096: far beyond the caches.
const ELEMENTS: usize = 1 << 24;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let format = Format::new("affine", Some(8), Some(64))?;
    let numbers = numbers();
    let inputs =
        [("f32", Float::F32), ("f16", Float::F16), ("bf16", Float::BF16)].map(|(name, float)| {
            let mut bytes = Vec::new();
            float.encode(&numbers, &mut bytes);
            (name, float, bytes)
        });
    let (mut encoded, mut copy) = (Encoded::default(), inputs[0].2.clone());
    let mut stdout = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line == "isa" {
            writeln!(stdout, "{}", mlxq_kernels::isa_name())?;
            continue;
        }
        let (wall, cpu) = (Instant::now(), cpu_seconds());
        match inputs.iter().find(|(name, ..)| *name == line) {
            Some((_, float, bytes)) => {
                assert!(format.encode(*float, *float, bytes, &mut encoded), "numbers are finite");
            }
            None if line == "copy" => copy.copy_from_slice(std::hint::black_box(&inputs[0].2)),
            None => return Err(format!("no such work: {line}").into()),
        }
        std::hint::black_box((&encoded, &copy));
        let wall = wall.elapsed().as_secs_f64();
        let cpu = cpu.zip(cpu_seconds()).map_or(wall, |(begun, ended)| ended - begun);
        writeln!(stdout, "{cpu} {wall}")?;
    }
    Ok(())
}

/// Numbers spread about like weights: sums of four uniform ones.
fn numbers() -> Vec<f32> {
    let mut state = 1u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..ELEMENTS).map(|_| 0.05 * (uniform() + uniform() + uniform() + uniform())).collect()
}

/// CPU time of this thread, where Linux tells it.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse::<f64>().ok().map(|nanoseconds| nanoseconds * 1e-9)
}
