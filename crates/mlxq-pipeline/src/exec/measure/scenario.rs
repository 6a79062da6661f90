//! The scenarios, and what a block of each is.

use std::time::Duration;

use mlxq_engine::EngineError;
use mlxq_eval::stats::SplitMix64;
use serde::{Deserialize, Serialize};

use super::clock::Clock;
use super::rounds::{FEWEST_QUERIES, Protocol};
use super::server::arrivals;
use super::station::Station;
use super::timing::{Counted, TimedBlock};
use super::{offline, server, single_stream};

/// The seed of arrival times: every run with one rate has the same.
pub(in super::super) const ARRIVAL_SEED: u64 = 42;

/// How queries come to an engine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// One after the other, the next when the last is answered.
    #[default]
    SingleStream,
    /// All at once, computed in batches.
    Offline {
        /// Queries of a batch.
        batch_size: usize,
    },
    /// At random times, whether or not the engine has answered.
    Server {
        /// Queries per second on average.
        rate: f64,
    },
}

impl Scenario {
    /// Its name in records and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SingleStream => "single-stream",
            Self::Offline { .. } => "offline",
            Self::Server { .. } => "server",
        }
    }

    /// Its name and settings in words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::SingleStream => self.name().to_owned(),
            Self::Offline { batch_size } => format!("offline in batches of {batch_size}"),
            Self::Server { rate } => format!("server at {rate} queries a second"),
        }
    }

    /// Whether it can be measured.
    pub(in super::super) fn is_possible(self) -> bool {
        match self {
            Self::SingleStream => true,
            Self::Offline { batch_size } => batch_size > 0,
            Self::Server { rate } => rate.is_finite() && rate > 0.0,
        }
    }

    /// Queries that go to an engine in one call.
    pub(super) fn queries_at_once(self) -> usize {
        if let Self::Offline { batch_size } = self { batch_size } else { 1 }
    }
}

/// The queries of a data set, whose rows the stations hold.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Queries<'q> {
    /// Time that tokenizing each query took.
    pub(in super::super) tokenizing: &'q [Duration],
    /// Rows of a query.
    pub(in super::super) rows_per_query: usize,
}

/// One call to an engine, tokenizing included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Call {
    /// Seconds.
    pub(super) seconds: f64,
    /// Queries in it.
    pub(super) queries: usize,
}

impl Queries<'_> {
    /// Number of queries.
    pub(super) fn count(&self) -> usize {
        self.tokenizing.len()
    }

    /// Lets `station` compute `count` queries from query `start` on, round the data set, `at_once` a
    /// call; the last call before the end of the data set may have fewer.
    pub(super) fn compute(
        &self,
        station: &mut dyn Station,
        start: usize,
        count: usize,
        at_once: usize,
    ) -> Result<(Vec<Call>, TimedBlock), EngineError> {
        let (all, rows) = (self.count(), self.rows_per_query);
        let (mut calls, mut done) = (Vec::new(), 0);
        let mut block = TimedBlock {
            queries: count,
            seconds: 0.0,
            busy_seconds: 0.0,
            tokens: 0,
            padded_tokens: 0,
        };
        while done < count {
            let first = (start + done) % all;
            let last = all.min(first + count - done);
            let part = station.time_rows(first * rows..last * rows, at_once * rows)?;
            let tokenizing = self.tokenizing[first..last].chunks(at_once);
            calls.extend(part.calls.iter().zip(tokenizing).map(|(call, tokenizing)| Call {
                seconds: (*call + tokenizing.iter().sum::<Duration>()).as_secs_f64(),
                queries: tokenizing.len(),
            }));
            block.tokens += part.tokens;
            block.padded_tokens += part.padded_tokens;
            done += last - first;
        }
        block.seconds = calls.iter().map(|call| call.seconds).sum();
        block.busy_seconds = block.seconds;
        Ok((calls, block))
    }
}

/// The blocks of a measurement, the same for all engines.
pub(super) struct Plan {
    scenario: Scenario,
    /// Queries of a block.
    queries: usize,
    /// Seconds from the beginning of each block to the arrivals in it; empty for closed loops.
    arrivals: Vec<Vec<f64>>,
}

impl Plan {
    /// Blocks that last `protocol.block_seconds` at least for an engine that takes `fastest` seconds for
    /// a query.
    pub(super) fn new(protocol: &Protocol, fastest: f64) -> Self {
        let lasting = |rate: f64| {
            let queries = (protocol.block_seconds * rate).ceil() as usize;
            queries.max(FEWEST_QUERIES)
        };
        let scenario = protocol.scenario;
        let (queries, arrivals) = match scenario {
            Scenario::SingleStream => (lasting(1.0 / fastest), Vec::new()),
            Scenario::Offline { batch_size } => {
                (lasting(1.0 / fastest).next_multiple_of(batch_size), Vec::new())
            }
            Scenario::Server { rate } => {
                let queries = lasting(rate);
                let mut random = SplitMix64::new(ARRIVAL_SEED);
                let block = || arrivals(rate, queries, &mut random);
                (queries, std::iter::repeat_with(block).take(protocol.rounds).collect())
            }
        };
        Self { scenario, queries, arrivals }
    }

    /// The block of round `round` on `station`.
    pub(super) fn block(
        &self,
        round: usize,
        station: &mut dyn Station,
        queries: &Queries,
        clock: &dyn Clock,
    ) -> Result<Counted, EngineError> {
        let start = round * self.queries;
        match self.scenario {
            Scenario::SingleStream => single_stream::block(station, queries, start, self.queries),
            Scenario::Offline { batch_size } => {
                offline::block(station, queries, start, self.queries, batch_size)
            }
            Scenario::Server { .. } => {
                server::block(station, queries, start, &self.arrivals[round], clock)
            }
        }
    }
}
