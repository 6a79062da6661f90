//! Times of several engines, taken in turn: see `docs/measuring.md`.
//!
//! Each engine is a process of its own and computes while the others wait. Blocks of the same queries
//! go round forwards and backwards (A B C, C B A, …), so that drift of the machine falls on all.

use std::time::Duration;

use mlxq_engine::EngineError;
use mlxq_engine::memory::Sampler;
use mlxq_engine::worker::Worker;
use serde::{Deserialize, Serialize};

use super::rows::EncodedRows;
use crate::{PipelineError, Reporter, Unit, Work};

/// The fewest queries of a block.
const FEWEST_QUERIES: usize = 20;
/// The most warm-up blocks, and the spread of three in a row that counts as warm.
const WARM_UP_BLOCKS: usize = 10;
const WARM_SPREAD: f64 = 0.03;

/// How long is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Protocol {
    /// Rounds: blocks of each engine.
    pub(super) rounds: usize,
    /// Seconds that a block of the fastest engine lasts at least.
    pub(super) block_seconds: f64,
}

/// One block of one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct TimedBlock {
    /// Queries computed.
    pub(super) queries: usize,
    /// Seconds of computing and tokenizing.
    pub(super) seconds: f64,
    /// Tokens, padding not counted.
    pub(super) tokens: usize,
    /// Tokens, padding counted.
    pub(super) padded_tokens: usize,
}

impl TimedBlock {
    /// Queries per minute.
    pub(super) fn qpm(&self) -> f64 {
        60.0 * self.queries as f64 / self.seconds
    }
}

/// Everything measured of one engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Timing {
    /// The counted blocks, in order.
    pub(super) blocks: Vec<TimedBlock>,
    /// Milliseconds of each counted query, from text to answer.
    pub(super) latencies_ms: Vec<f64>,
    /// Milliseconds of the very first query.
    pub(super) first_query_ms: f64,
    /// Queries computed before counting began.
    pub(super) warmup_queries: usize,
    /// Mean over the counted blocks' time, MiB; `None` where memory cannot be read.
    pub(super) memory_average_mb: Option<f64>,
    /// Peak over the counted blocks, MiB.
    pub(super) memory_peak_mb: Option<f64>,
    /// Part that is the process's own, and part that is pages of files, after the last block.
    pub(super) memory_split_mb: Option<(f64, f64)>,
}

impl Timing {
    /// Seconds measured.
    pub(super) fn seconds(&self) -> f64 {
        self.blocks.iter().map(|block| block.seconds).sum()
    }

    /// Queries per minute over all blocks.
    pub(super) fn qpm(&self) -> Option<f64> {
        let queries: usize = self.blocks.iter().map(|block| block.queries).sum();
        (queries > 0).then(|| 60.0 * queries as f64 / self.seconds())
    }

    /// Tokens per second over all blocks, padding not counted, then counted.
    pub(super) fn tokens_per_second(&self) -> Option<(f64, f64)> {
        let sum = |of: fn(&TimedBlock) -> usize| self.blocks.iter().map(of).sum::<usize>() as f64;
        let seconds = self.seconds();
        let rates =
            (sum(|block| block.tokens) / seconds, sum(|block| block.padded_tokens) / seconds);
        (seconds > 0.0).then_some(rates)
    }
}

/// Measures `workers`, whose rows are `rows`, single queries in a stream; one result for each.
///
/// # Errors
/// When a worker fails or the user interrupts.
pub(super) fn measure(
    workers: &mut [Worker],
    rows: &EncodedRows,
    protocol: Protocol,
    reporter: &dyn Reporter,
) -> Result<Vec<Timing>, PipelineError> {
    let mut timings = Vec::with_capacity(workers.len());
    let mut fastest = f64::INFINITY;
    for worker in workers.iter_mut() {
        let (timing, per_query) = warm_up(worker, rows)?;
        fastest = fastest.min(per_query);
        timings.push(timing);
    }
    let queries = ((protocol.block_seconds / fastest).ceil() as usize).max(FEWEST_QUERIES);
    let total = (protocol.rounds * workers.len()) as u64;
    let work = Work::new(reporter, "measuring", Unit::Steps);
    let mut order: Vec<usize> = (0..workers.len()).collect();
    for round in 0..protocol.rounds {
        let start = round * queries;
        for (turn, place) in order.iter().enumerate() {
            counted_block(&mut workers[*place], rows, start, queries, &mut timings[*place])?;
            let done = (round * workers.len() + turn + 1) as u64;
            work.show(done, total);
            if reporter.interrupted() {
                return Err(PipelineError::Interrupted);
            }
        }
        order.reverse();
    }
    Ok(timings)
}

/// Blocks that are not counted, until three in a row differ little; the seconds of one query.
fn warm_up(worker: &mut Worker, rows: &EncodedRows) -> Result<(Timing, f64), EngineError> {
    let mut timing = Timing::default();
    let mut seconds: Vec<f64> = Vec::new();
    for block in 0..WARM_UP_BLOCKS {
        let (times, _) = stream(worker, rows, 0, FEWEST_QUERIES)?;
        if block == 0 {
            timing.first_query_ms = times.first().map_or(0.0, |time| time.as_secs_f64() * 1e3);
        }
        timing.warmup_queries += times.len();
        seconds.push(times.iter().sum::<Duration>().as_secs_f64());
        if let [.., a, b, c] = seconds.as_slice() {
            let (low, high) = (a.min(*b).min(*c), a.max(*b).max(*c));
            if high <= low * (1.0 + WARM_SPREAD) {
                break;
            }
        }
    }
    let last = seconds.last().copied().unwrap_or(1.0).max(1e-6);
    Ok((timing, last / FEWEST_QUERIES as f64))
}

fn counted_block(
    worker: &mut Worker,
    rows: &EncodedRows,
    start: usize,
    queries: usize,
    timing: &mut Timing,
) -> Result<(), EngineError> {
    let sampler = Sampler::start(worker.pid());
    let (times, block) = stream(worker, rows, start, queries)?;
    if let Some(memory) = sampler.stop() {
        let before = timing.seconds();
        let average =
            timing.memory_average_mb.unwrap_or(0.0) * before + memory.average_mb * block.seconds;
        timing.memory_average_mb = Some(average / (before + block.seconds));
        timing.memory_peak_mb = Some(timing.memory_peak_mb.unwrap_or(0.0).max(memory.peak_mb));
        timing.memory_split_mb = Some((memory.anonymous_mb, memory.file_mb));
    }
    timing.latencies_ms.extend(times.iter().map(|time| time.as_secs_f64() * 1e3));
    timing.blocks.push(block);
    Ok(())
}

/// Computes `count` queries one by one from query `start` on, round the data set; the time of each,
/// tokenizing included.
fn stream(
    worker: &mut Worker,
    rows: &EncodedRows,
    start: usize,
    count: usize,
) -> Result<(Vec<Duration>, TimedBlock), EngineError> {
    let (all, per_query) = (rows.queries(), rows.rows_per_query);
    let mut times = Vec::with_capacity(count);
    let mut block = TimedBlock { queries: count, seconds: 0.0, tokens: 0, padded_tokens: 0 };
    while times.len() < count {
        let first = (start + times.len()) % all;
        let last = all.min(first + count - times.len());
        let part = worker.time_rows(first * per_query..last * per_query, per_query)?;
        let tokenizing = &rows.tokenizing[first..last];
        times.extend(part.calls.iter().zip(tokenizing).map(|(call, tokens)| *call + *tokens));
        block.tokens += part.tokens;
        block.padded_tokens += part.padded_tokens;
    }
    block.seconds = times.iter().sum::<Duration>().as_secs_f64();
    Ok((times, block))
}
