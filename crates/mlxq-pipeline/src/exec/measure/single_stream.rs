//! One query after the other, the next when the last is answered: MLPerf's SingleStream.

use mlxq_engine::EngineError;

use super::scenario::Queries;
use super::station::Station;
use super::timing::Counted;

/// `count` queries from query `start` on, each timed by itself, from text to answer.
pub(super) fn block(
    station: &mut dyn Station,
    queries: &Queries,
    start: usize,
    count: usize,
) -> Result<Counted, EngineError> {
    let (calls, block) = queries.compute(station, start, count, 1)?;
    Ok(Counted {
        block,
        latencies_ms: calls.iter().map(|call| call.seconds * 1e3).collect(),
        batch_latencies_ms: Vec::new(),
        longest_wait: 0.0,
    })
}
