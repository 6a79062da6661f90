//! All queries at once, in batches of a stated size: MLPerf's Offline.
//!
//! A query in a batch has no time of its own. What is timed is the batch, and never divided.

use mlxq_engine::EngineError;

use super::scenario::Queries;
use super::station::Station;
use super::timing::Counted;

/// `count` queries from query `start` on in batches of `batch_size`. Smaller batches, before the end of
/// the data set, count for the block and not as times of batches.
pub(super) fn block(
    station: &mut dyn Station,
    queries: &Queries,
    start: usize,
    count: usize,
    batch_size: usize,
) -> Result<Counted, EngineError> {
    let (calls, block) = queries.compute(station, start, count, batch_size)?;
    let full = calls.iter().filter(|call| call.queries == batch_size);
    Ok(Counted {
        block,
        latencies_ms: Vec::new(),
        batch_latencies_ms: full.map(|call| call.seconds * 1e3).collect(),
        longest_wait: 0.0,
    })
}
