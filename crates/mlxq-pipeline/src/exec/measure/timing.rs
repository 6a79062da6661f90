//! What was measured of one engine.

use mlxq_engine::memory::MemoryUse;
use serde::{Deserialize, Serialize};

use super::checks::SideChecks;
use super::{Scenario, ServerLoad};

/// One block of one engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct TimedBlock {
    /// Queries computed.
    pub(in super::super) queries: usize,
    /// Seconds of computing and tokenizing; under load also the waits between queries.
    pub(in super::super) seconds: f64,
    /// Seconds of computing and tokenizing alone.
    pub(in super::super) busy_seconds: f64,
    /// Tokens, padding not counted.
    pub(in super::super) tokens: usize,
    /// Tokens, padding counted.
    pub(in super::super) padded_tokens: usize,
}

impl TimedBlock {
    /// Queries per minute.
    pub(in super::super) fn qpm(&self) -> f64 {
        60.0 * self.queries as f64 / self.seconds
    }

    /// Seconds of work for each token, so that blocks of different rows can be compared.
    pub(super) fn seconds_per_token(&self) -> f64 {
        self.busy_seconds / self.tokens.max(1) as f64
    }
}

/// A block with the times inside it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counted {
    /// The block.
    pub(super) block: TimedBlock,
    /// Milliseconds of each query that was computed by itself.
    pub(super) latencies_ms: Vec<f64>,
    /// Milliseconds of each full batch.
    pub(super) batch_latencies_ms: Vec<f64>,
    /// Seconds that the query that waited longest had waited when it began.
    pub(super) longest_wait: f64,
}

/// Everything measured of one engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(in super::super) struct Timing {
    /// What a block was.
    pub(in super::super) scenario: Scenario,
    /// The counted blocks, in order.
    pub(in super::super) blocks: Vec<TimedBlock>,
    /// Milliseconds of each counted query, from text to answer, or under load from its arrival; empty
    /// where only batches were timed.
    pub(in super::super) latencies_ms: Vec<f64>,
    /// Milliseconds of each full batch; empty where queries were timed one by one.
    pub(in super::super) batch_latencies_ms: Vec<f64>,
    /// How the engine bore its load, in the scenario `server`.
    pub(in super::super) load: Option<ServerLoad>,
    /// Milliseconds of the very first call.
    pub(in super::super) first_query_ms: f64,
    /// Queries computed before counting began.
    pub(in super::super) warmup_queries: usize,
    /// Mean over the counted blocks' time, MiB; `None` where memory cannot be read.
    pub(in super::super) memory_average_mb: Option<f64>,
    /// Peak over the counted blocks, MiB.
    pub(in super::super) memory_peak_mb: Option<f64>,
    /// Part that is the process's own, and part that is pages of files, after the last block.
    pub(in super::super) memory_split_mb: Option<(f64, f64)>,
    /// What was noticed about this engine's times.
    pub(in super::super) checks: SideChecks,
    /// Why the times must not be judged; empty where they may.
    pub(in super::super) invalid: Vec<String>,
}

impl Timing {
    /// Adds a block and the memory used meanwhile.
    pub(super) fn add(&mut self, counted: Counted, memory: Option<MemoryUse>) {
        let Counted { block, latencies_ms, batch_latencies_ms, .. } = counted;
        if let Some(memory) = memory {
            let before = self.seconds();
            let sum =
                self.memory_average_mb.unwrap_or(0.0) * before + memory.average_mb * block.seconds;
            self.memory_average_mb = Some(sum / (before + block.seconds));
            self.memory_peak_mb = Some(self.memory_peak_mb.unwrap_or(0.0).max(memory.peak_mb));
            self.memory_split_mb = Some((memory.anonymous_mb, memory.file_mb));
        }
        self.latencies_ms.extend(latencies_ms);
        self.batch_latencies_ms.extend(batch_latencies_ms);
        self.blocks.push(block);
    }

    /// Seconds measured.
    pub(in super::super) fn seconds(&self) -> f64 {
        self.blocks.iter().map(|block| block.seconds).sum()
    }

    /// Queries per minute over all blocks.
    pub(in super::super) fn qpm(&self) -> Option<f64> {
        let queries: usize = self.blocks.iter().map(|block| block.queries).sum();
        (queries > 0).then(|| 60.0 * queries as f64 / self.seconds())
    }

    /// Tokens per second over all blocks, padding not counted, then counted.
    pub(in super::super) fn tokens_per_second(&self) -> Option<(f64, f64)> {
        let sum = |of: fn(&TimedBlock) -> usize| self.blocks.iter().map(of).sum::<usize>() as f64;
        let seconds = self.seconds();
        let rates =
            (sum(|block| block.tokens) / seconds, sum(|block| block.padded_tokens) / seconds);
        (seconds > 0.0).then_some(rates)
    }
}
