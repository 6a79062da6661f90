//! The machine's limits: rates of loops over registers, and of reading memory, on one thread and on several.
//!
//! The argument is the number of threads. Prints JSON: `{"threads": n, "loops": [{"name", "one", "all"}],
//! "read": {"one", "all"}}`, in 10^9 multiplications and in 10^9 bytes a second, the best of 40.

use std::io::Write;
use std::sync::Barrier;
use std::time::Instant;

use mlxq_kernels::limits::{self, RegisterLoop};
use serde_json::json;

const ROUNDS: usize = 40;
/// Steps of a loop: some 2 ms, so that a round fits between the turns of other processes.
const STEPS: u64 = 400_000;
/// Words for each thread, 128 MiB: far more than caches hold.
const WORDS: usize = 1 << 24;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads: usize = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let loops: Vec<_> = limits::register_loops().iter().map(|one| rates(one, threads)).collect();
    let words = vec![1u64; WORDS * threads];
    let bytes = |threads| {
        let parts: Vec<&[u64]> = words.chunks(WORDS).take(threads).collect();
        let seconds = least(threads, |place| {
            std::hint::black_box(limits::read(std::hint::black_box(parts[place])));
        });
        (8 * WORDS * threads) as f64 / seconds * 1e-9
    };
    let found = json!({"threads": threads, "loops": loops,
        "read": {"one": bytes(1), "all": bytes(threads)}});
    writeln!(std::io::stdout(), "{found}")?;
    Ok(())
}

fn rates(one: &RegisterLoop, threads: usize) -> serde_json::Value {
    let rate = |threads: usize| {
        let macs = (one.macs * STEPS) as f64 * threads as f64;
        macs / least(threads, |_| one.run(STEPS)) * 1e-9
    };
    json!({"name": one.name, "one": rate(1), "all": rate(threads)})
}

/// Seconds from the first start of `threads` threads to the last end, in the fastest round.
fn least(threads: usize, work: impl Fn(usize) + Sync) -> f64 {
    (0..ROUNDS).map(|_| round(threads, &work)).fold(f64::INFINITY, f64::min)
}

fn round(threads: usize, work: &(impl Fn(usize) + Sync)) -> f64 {
    let together = Barrier::new(threads);
    let times: Vec<[Instant; 2]> = std::thread::scope(|scope| {
        let together = &together;
        let each = (0..threads).map(|place| {
            scope.spawn(move || {
                together.wait();
                let start = Instant::now();
                work(place);
                [start, Instant::now()]
            })
        });
        let running: Vec<_> = each.collect();
        // A thread that panics has said why.
        running.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let start = times.iter().map(|[start, _]| *start).min();
    let end = times.iter().map(|[_, end]| *end).max();
    start.zip(end).map_or(f64::INFINITY, |(start, end)| (end - start).as_secs_f64())
}
