//! Who computes when: warm-up, then rounds of blocks, forwards and backwards.
//!
//! A B C, C B A, …: so that drift of the machine falls on all alike. Threads are not pinned to cores: the
//! standard library cannot, macOS does not allow it, and one set for all engines would put them onto cores
//! that other processes happen to use.

use mlxq_engine::EngineError;
use mlxq_engine::memory::Sampler;

use super::calibration::Calibration;
use super::checks::{SideChecks, TimingChecks, settled};
use super::clock::{Clock, Monotonic};
use super::scenario::{Plan, Queries};
use super::station::Station;
use super::timing::Timing;
use super::{Scenario, ServerLoad};
use crate::exec::environment::{Activity, Environment, Watch, activity};
use crate::{PipelineError, Reporter, Unit, Work};

/// The fewest queries of a block.
pub(super) const FEWEST_QUERIES: usize = 20;
/// The most warm-up blocks.
const WARM_UP_BLOCKS: usize = 10;
/// Seconds of calibration before each block.
const CALIBRATION_SECONDS: f64 = 0.05;

/// How long is measured, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) struct Protocol {
    /// What a block is.
    pub(in super::super) scenario: Scenario,
    /// Rounds: blocks of each engine.
    pub(in super::super) rounds: usize,
    /// Seconds that a block of the fastest engine lasts at least.
    pub(in super::super) block_seconds: f64,
}

/// A whole measurement.
#[derive(Debug)]
pub(in super::super) struct Measured {
    /// One for each station, in order.
    pub(in super::super) timings: Vec<Timing>,
    /// Whether they may be judged.
    pub(in super::super) checks: TimingChecks,
    /// The machine meanwhile.
    pub(in super::super) environment: Environment,
}

/// Measures `stations`, which hold the rows of `queries`.
///
/// # Errors
/// When a station fails or the user interrupts.
pub(in super::super) fn measure<S: Station>(
    stations: &mut [S],
    queries: &Queries,
    protocol: &Protocol,
    reporter: &dyn Reporter,
) -> Result<Measured, PipelineError> {
    measure_by(&Monotonic::start(), stations, queries, protocol, reporter)
}

/// [`measure`] with the arrivals of an open loop by `clock`.
pub(super) fn measure_by<S: Station>(
    clock: &dyn Clock,
    stations: &mut [S],
    queries: &Queries,
    protocol: &Protocol,
    reporter: &dyn Reporter,
) -> Result<Measured, PipelineError> {
    let mut lanes = Vec::with_capacity(stations.len());
    let mut fastest = f64::INFINITY;
    for station in stations.iter_mut() {
        let (lane, per_query) = Lane::warm(station, queries, protocol.scenario)?;
        fastest = fastest.min(per_query);
        lanes.push(lane);
        if reporter.interrupted() {
            return Err(PipelineError::Interrupted);
        }
    }
    let pids: Vec<u32> = lanes.iter().filter_map(|lane| lane.station.pid()).collect();
    let watch = Watch::begin(&pids);
    let milliseconds = rounds(clock, &mut lanes, queries, protocol, fastest, reporter)?;
    let environment = watch.end(&pids, lanes.iter().map(|lane| lane.station.info()));

    let mut timings: Vec<Timing> =
        lanes.into_iter().map(|lane| lane.finish(protocol.scenario)).collect();
    let checks = TimingChecks::of(milliseconds, &timings, &environment);
    for timing in &mut timings {
        timing.invalid.clone_from(&checks.invalid);
    }
    Ok(Measured { timings, checks, environment })
}

/// All counted blocks; the milliseconds of the calibration between them.
fn rounds<S: Station>(
    clock: &dyn Clock,
    lanes: &mut [Lane<S>],
    queries: &Queries,
    protocol: &Protocol,
    fastest: f64,
    reporter: &dyn Reporter,
) -> Result<Vec<f64>, PipelineError> {
    let plan = Plan::new(protocol, fastest);
    let mut calibration = Calibration::lasting(CALIBRATION_SECONDS);
    let work = Work::new(reporter, "measuring", Unit::Steps);
    let (total, mut done) = (protocol.rounds * lanes.len(), 0);
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    for round in 0..protocol.rounds {
        for place in &order {
            calibration.run();
            let before: Vec<Option<f64>> = lanes.iter().map(Lane::cpu_seconds).collect();
            let lane = &mut lanes[*place];
            let sampler = lane.station.pid().map(Sampler::start);
            let counted = plan.block(round, lane.station, queries, clock)?;
            let memory = sampler.and_then(Sampler::stop);
            let seconds = counted.block.seconds;
            lane.longest_wait = lane.longest_wait.max(counted.longest_wait);
            lane.timing.add(counted, memory);
            for (other, before) in before.into_iter().enumerate().filter(|(at, _)| at != place) {
                lanes[other].waited(seconds, before);
            }
            done += 1;
            work.show(done as u64, total as u64);
            if reporter.interrupted() {
                return Err(PipelineError::Interrupted);
            }
        }
        order.reverse();
    }
    calibration.run();
    Ok(calibration.milliseconds)
}

/// A station and what is known of it so far.
struct Lane<'s, S> {
    station: &'s mut S,
    timing: Timing,
    warm: bool,
    /// When counting began.
    began: Option<Activity>,
    longest_wait: f64,
    /// Seconds that others computed, and processor seconds that it used meanwhile.
    idle: (f64, Option<f64>),
}

impl<'s, S: Station> Lane<'s, S> {
    /// Computes blocks that are not counted, until three in a row differ little; with the seconds of one
    /// query.
    fn warm(
        station: &'s mut S,
        queries: &Queries,
        scenario: Scenario,
    ) -> Result<(Self, f64), EngineError> {
        let at_once = scenario.queries_at_once();
        let count = FEWEST_QUERIES.next_multiple_of(at_once);
        let mut timing = Timing { scenario, ..Timing::default() };
        let mut seconds: Vec<f64> = Vec::new();
        while seconds.len() < WARM_UP_BLOCKS && !settled(&seconds) {
            let (calls, block) = queries.compute(station, 0, count, at_once)?;
            if seconds.is_empty() {
                timing.first_query_ms = calls.first().map_or(0.0, |call| call.seconds * 1e3);
            }
            timing.warmup_queries += count;
            seconds.push(block.seconds);
        }
        let last = seconds.last().copied().unwrap_or(1.0).max(1e-6);
        let lane = Self {
            began: station.pid().and_then(activity),
            station,
            timing,
            warm: settled(&seconds),
            longest_wait: 0.0,
            idle: (0.0, Some(0.0)),
        };
        Ok((lane, last / count as f64))
    }

    fn cpu_seconds(&self) -> Option<f64> {
        Some(activity(self.station.pid()?)?.cpu_seconds)
    }

    /// Others computed for `seconds`; `before` are its processor seconds at their beginning.
    fn waited(&mut self, seconds: f64, before: Option<f64>) {
        let used = self.cpu_seconds().zip(before).map(|(after, before)| after - before);
        self.idle =
            (self.idle.0 + seconds, self.idle.1.zip(used).map(|(total, used)| total + used));
    }

    fn finish(self, scenario: Scenario) -> Timing {
        let mut timing = self.timing;
        if let Scenario::Server { rate } = scenario {
            timing.load = Some(ServerLoad::of(rate, &timing.blocks, self.longest_wait));
        }
        let switches = |activity: Activity| activity.involuntary_switches;
        let ended = self.station.pid().and_then(activity);
        timing.checks = SideChecks {
            warm: self.warm,
            idle_seconds: self.idle.0,
            idle_cpu_seconds: self.idle.1,
            involuntary_switches: self
                .began
                .zip(ended)
                .map(|(began, ended)| switches(ended).saturating_sub(switches(began))),
            ..SideChecks::of(&timing.blocks)
        };
        timing.checks.set_flags(timing.load);
        timing
    }
}
