//! What it costs to hand work over to a pool's threads, and what a second thread gains.
//!
//! The argument is the number of threads, 2 if it is left out.

use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

use mlxq_kernels::pool::Pool;

const RUNS: usize = 20_000;
const RUNS_AFTER_PAUSES: usize = 200;
/// Lengths of a chain of multiplications.
const WORK: [usize; 4] = [20_000, 100_000, 200_000, 2_000_000];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let pool = Pool::new(threads);
    let mut stdout = std::io::stdout();
    let alone = {
        let one = Pool::new(1);
        median(RUNS, || {}, || empty(&one, threads))
    };
    let awake = median(RUNS, || {}, || empty(&pool, threads));
    let pause = || std::thread::sleep(Duration::from_micros(500));
    let asleep = median(RUNS_AFTER_PAUSES, pause, || empty(&pool, threads));
    writeln!(stdout, "{threads} threads, a run of one empty job for each, median")?;
    writeln!(stdout, "  {:6.2} us without a pool", alone * 1e6)?;
    writeln!(stdout, "  {:6.2} us one after the other", awake * 1e6)?;
    writeln!(stdout, "  {:6.2} us after pauses of 0.5 ms", asleep * 1e6)?;
    for (pause, name) in [(0, "one after the other"), (500, "after pauses of 0.5 ms")] {
        let seen = median(
            RUNS_AFTER_PAUSES * 5,
            || std::thread::sleep(Duration::from_micros(pause)),
            || meet(&pool, threads),
        );
        writeln!(stdout, "  {:6.2} us until all threads are there, {name}", seen * 1e6)?;
    }
    writeln!(stdout, "work in as many jobs as threads: us on one thread, on all, gain")?;
    for steps in WORK {
        let work = |pool: &Pool| {
            pool.run(threads, |_| {
                black_box(chains(steps / threads));
            });
        };
        let one = Pool::new(1);
        let [one, all] = [&one, &pool].map(|pool| median(500, || {}, || work(pool)));
        let [one_us, all_us, gain] = [one * 1e6, all * 1e6, one / all];
        writeln!(stdout, "  {one_us:7.1} {all_us:7.1} {gain:5.2}")?;
    }
    Ok(())
}

fn empty(pool: &Pool, jobs: usize) {
    pool.run(jobs, |job| {
        black_box(job);
    });
}

/// A run whose jobs wait for each other: it lasts until all threads have come.
fn meet(pool: &Pool, threads: usize) {
    let met = std::sync::atomic::AtomicUsize::new(0);
    pool.run(threads, |_| {
        met.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
        while met.load(std::sync::atomic::Ordering::Acquire) < threads {
            std::hint::spin_loop();
        }
    });
}

/// Rows of multiplications and additions that do not wait for each other and fit the registers: they keep
/// the units for arithmetic busy, as a product does.
fn chains(steps: usize) -> [[f32; 8]; 6] {
    let mut rows = [[0.5f32; 8]; 6];
    let (factor, addend) = (black_box([0.999f32; 8]), black_box([0.001f32; 8]));
    for _ in 0..steps / 6 {
        for row in &mut rows {
            for lane in 0..8 {
                row[lane] = row[lane] * factor[lane] + addend[lane];
            }
        }
    }
    rows
}

/// Seconds that `work` takes after `before`.
fn median(count: usize, mut before: impl FnMut(), mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..count)
        .map(|_| {
            before();
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[count / 2]
}
