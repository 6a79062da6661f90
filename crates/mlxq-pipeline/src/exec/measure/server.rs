//! Queries that arrive at random, whether or not the engine has answered: MLPerf's Server.
//!
//! An open loop. Arrivals are drawn before anything is measured; a query that finds the engine busy
//! waits, and its time runs from its arrival. A loop that sent the next query after the last answer
//! would leave those waits out.

use mlxq_engine::EngineError;
use mlxq_eval::stats::SplitMix64;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::scenario::Queries;
use super::station::Station;
use super::timing::{Counted, TimedBlock};

/// Seconds from a beginning to `count` arrivals of a Poisson process of `rate` a second: gaps are
/// exponential, `-ln(u) / rate` with `u` uniform in (0, 1].
pub(super) fn arrivals(rate: f64, count: usize, random: &mut SplitMix64) -> Vec<f64> {
    const STEPS: f64 = (1u64 << 53) as f64;
    let mut time = 0.0;
    let mut next = || {
        let uniform = ((random.next_u64() >> 11) + 1) as f64 / STEPS;
        time -= uniform.ln() / rate;
        time
    };
    std::iter::repeat_with(&mut next).take(count).collect()
}

/// One query for each of `arrivals`, from query `start` on, first come, first served, one at a time.
/// The engine is free when the block begins.
pub(super) fn block(
    station: &mut dyn Station,
    queries: &Queries,
    start: usize,
    arrivals: &[f64],
    clock: &dyn Clock,
) -> Result<Counted, EngineError> {
    let (all, rows) = (queries.count(), queries.rows_per_query);
    let mut counted = Counted {
        block: TimedBlock {
            queries: arrivals.len(),
            seconds: 0.0,
            busy_seconds: 0.0,
            tokens: 0,
            padded_tokens: 0,
        },
        latencies_ms: Vec::with_capacity(arrivals.len()),
        batch_latencies_ms: Vec::new(),
        longest_wait: 0.0,
    };
    let zero = clock.now();
    for (number, arrival) in arrivals.iter().enumerate() {
        let query = (start + number) % all;
        clock.wait_until(zero + arrival);
        let begun = clock.now();
        // The text was tokenized before; the engine's line waits as long as that took.
        clock.wait_until(begun + queries.tokenizing[query].as_secs_f64());
        let part = station.time_rows(query * rows..(query + 1) * rows, rows)?;
        let ended = clock.now();
        counted.latencies_ms.push((ended - zero - arrival) * 1e3);
        counted.longest_wait = counted.longest_wait.max(begun - zero - arrival);
        counted.block.busy_seconds += ended - begun;
        counted.block.seconds = ended - zero;
        counted.block.tokens += part.tokens;
        counted.block.padded_tokens += part.padded_tokens;
    }
    Ok(counted)
}

/// How an engine bore the load of the scenario `server`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ServerLoad {
    /// Queries per second that arrived on average.
    pub(crate) rate_per_second: f64,
    /// Arriving work by the work that can be done: the rate times the mean seconds of a query.
    pub(crate) utilization: f64,
    /// Whether that is below 1. Above it the queue grows without end, and times only tell how long was
    /// measured.
    pub(crate) kept_up: bool,
    /// Milliseconds that the query that waited longest waited for others.
    pub(crate) longest_wait_ms: f64,
}

impl ServerLoad {
    /// Of `blocks` under queries that came `rate` times a second.
    pub(super) fn of(rate: f64, blocks: &[TimedBlock], longest_wait: f64) -> Self {
        let busy: f64 = blocks.iter().map(|block| block.busy_seconds).sum();
        let queries: usize = blocks.iter().map(|block| block.queries).sum();
        let utilization = rate * busy / queries.max(1) as f64;
        Self {
            rate_per_second: rate,
            utilization,
            kept_up: utilization < 1.0,
            longest_wait_ms: longest_wait * 1e3,
        }
    }
}
