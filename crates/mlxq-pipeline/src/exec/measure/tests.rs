//! The protocol with stations whose times are known, and a clock that only they move.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::time::Duration;

use mlxq_engine::worker::Block;
use mlxq_engine::{EngineError, EngineInfo, OutputKind};
use mlxq_eval::stats::SplitMix64;

use super::clock::Clock;
use super::rounds::measure_by;
use super::scenario::Queries;
use super::server::{self, arrivals};
use super::station::Station;
use super::{Measured, Protocol, Scenario};
use crate::Silent;

#[derive(Default)]
struct Manual(Cell<f64>);

impl Clock for Manual {
    fn now(&self) -> f64 {
        self.0.get()
    }

    fn wait_until(&self, time: f64) {
        self.0.set(self.0.get().max(time));
    }
}

/// Who was asked for which rows, how many at a time.
type Log = RefCell<Vec<(&'static str, Range<usize>, usize)>>;

/// Takes the same time for every call.
struct Fake<'t> {
    info: EngineInfo,
    name: &'static str,
    seconds: f64,
    clock: &'t Manual,
    log: &'t Log,
}

impl Station for Fake<'_> {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn pid(&self) -> Option<u32> {
        None
    }

    fn time_rows(&mut self, rows: Range<usize>, batch: usize) -> Result<Block, EngineError> {
        self.log.borrow_mut().push((self.name, rows.clone(), batch));
        let calls = vec![Duration::from_secs_f64(self.seconds); rows.len().div_ceil(batch)];
        self.clock.0.set(self.clock.0.get() + self.seconds * calls.len() as f64);
        Ok(Block { calls, tokens: 10 * rows.len(), padded_tokens: 12 * rows.len() })
    }
}

fn fake<'t>(name: &'static str, seconds: f64, clock: &'t Manual, log: &'t Log) -> Fake<'t> {
    let info = EngineInfo {
        engine: name.to_owned(),
        version: "1".to_owned(),
        device: "cpu".to_owned(),
        threads: 1,
        output: OutputKind::Embedding,
        labels: Vec::new(),
        settings: Vec::new(),
    };
    Fake { info, name, seconds, clock, log }
}

/// 50 queries of two rows, each tokenized in a quarter of a second.
const TOKENIZING: [Duration; 50] = [Duration::from_millis(250); 50];
const QUERIES: Queries<'static> = Queries { tokenizing: &TOKENIZING, rows_per_query: 2 };

/// Two stations, of 0.75 and 1.75 seconds a call, in rounds of the fewest queries.
fn measured(scenario: Scenario, rounds: usize, log: &Log) -> Measured {
    let clock = Manual::default();
    let mut stations = [fake("a", 0.75, &clock, log), fake("b", 1.75, &clock, log)];
    let protocol = Protocol { scenario, rounds, block_seconds: 0.01 };
    measure_by(&clock, &mut stations, &QUERIES, &protocol, &Silent).expect("no failures")
}

/// By hand: warm-up is settled after three blocks of the first 20 queries, then 20 queries a block go
/// forwards and backwards and round the 50.
#[test]
fn blocks_go_forwards_and_backwards_over_the_same_rows() {
    let log = Log::default();
    let measured = measured(Scenario::SingleStream, 3, &log);
    let warm_up = |name| vec![(name, 0..40, 2); 3];
    let mut expected = [warm_up("a"), warm_up("b")].concat();
    expected.extend([("a", 0..40, 2), ("b", 0..40, 2), ("b", 40..80, 2), ("a", 40..80, 2)]);
    expected.extend([("a", 80..100, 2), ("a", 0..20, 2), ("b", 80..100, 2), ("b", 0..20, 2)]);
    assert_eq!(*log.borrow(), expected);

    let [a, b] = measured.timings.as_slice() else { panic!("two timings") };
    assert_eq!((a.blocks.len(), a.warmup_queries, a.first_query_ms), (3, 60, 1000.0));
    assert!(a.checks.warm && a.checks.flags.is_empty(), "{:?}", a.checks);
    assert_eq!(a.latencies_ms, vec![1000.0; 60]);
    assert_eq!((a.qpm(), b.qpm()), (Some(60.0), Some(30.0)));
    assert_eq!(a.tokens_per_second(), Some((20.0, 24.0)));
    assert_eq!((a.checks.idle_seconds, b.checks.idle_seconds), (120.0, 60.0));
    assert_eq!(measured.checks.calibration_ms.len(), 7, "before each block and after the last");
    assert_eq!(measured.environment.engines.len(), 2);
}

/// By hand: 20 queries are rounded up to 24 in batches of 8; the data ends in round 2 with a batch of 2,
/// and the block with one of 6.
#[test]
fn offline_batches_are_timed_whole() {
    let log = Log::default();
    let measured = measured(Scenario::Offline { batch_size: 8 }, 3, &log);
    let a = &measured.timings[0];
    assert_eq!(a.warmup_queries, 72);
    assert!(a.latencies_ms.is_empty());
    // Eight times a quarter of a second of tokenizing, and one call.
    assert_eq!(a.batch_latencies_ms, vec![2750.0; 8]);
    let seconds: Vec<f64> = a.blocks.iter().map(|block| block.seconds).collect();
    assert_eq!(seconds, [8.25, 8.25, 24.0 * 0.25 + 4.0 * 0.75]);
    assert!(log.borrow().iter().all(|(_, _, batch)| *batch == 16), "eight queries of two rows");
}

/// By hand: with 0.25 + 0.75 seconds a query, the second waits for the first and the third for none.
#[test]
fn latency_under_load_runs_from_the_arrival() {
    let (clock, log) = (Manual::default(), Log::default());
    clock.0.set(100.0);
    let mut station = fake("a", 0.75, &clock, &log);
    let counted = server::block(&mut station, &QUERIES, 49, &[0.5, 0.75, 3.0], &clock);
    let counted = counted.expect("no failure");
    assert_eq!(counted.latencies_ms, [1000.0, 1750.0, 1000.0]);
    assert_eq!(counted.longest_wait, 0.75);
    assert_eq!((counted.block.seconds, counted.block.busy_seconds), (4.0, 3.0));
    assert_eq!(*log.borrow(), [("a", 98..100, 2), ("a", 0..2, 2), ("a", 2..4, 2)]);
}

/// Of 0.7 queries a second one station can do 1, the other 0.5.
#[test]
fn all_engines_get_the_same_arrivals_and_some_do_not_keep_up() {
    let log = Log::default();
    let measured = measured(Scenario::Server { rate: 0.7 }, 2, &log);
    let [a, b] = measured.timings.as_slice() else { panic!("two timings") };
    // A station that is free begins at the arrival, so that blocks of both begin alike.
    let mut random = SplitMix64::new(super::ARRIVAL_SEED);
    for (round, block) in [0, 1].into_iter().zip(a.blocks.iter().zip(&b.blocks)) {
        let times = arrivals(0.7, 20, &mut random);
        for (block, service, timing) in [(block.0, 1.0, a), (block.1, 2.0, b)] {
            let ends = times.iter().scan(0.0f64, |end, arrival| {
                *end = end.max(*arrival) + service;
                Some((*end, (*end - arrival) * 1e3))
            });
            let (ends, latencies): (Vec<f64>, Vec<f64>) = ends.unzip();
            assert!((block.seconds - ends[19]).abs() < 1e-6);
            let got = &timing.latencies_ms[20 * round..20 * (round + 1)];
            assert!(got.iter().zip(latencies).all(|(got, want)| (got - want).abs() < 1e-6));
        }
    }
    let (of_a, of_b) = (a.load.expect("a load"), b.load.expect("a load"));
    assert!(of_a.kept_up && (of_a.utilization - 0.7).abs() < 1e-9, "{of_a:?}");
    assert!(!of_b.kept_up && (of_b.utilization - 1.4).abs() < 1e-9, "{of_b:?}");
    assert!(a.checks.flags.is_empty() && b.checks.flags[0].contains("did not keep up"));
}

/// The same generator and formula in Python 3.11.
#[test]
fn arrivals_are_those_of_their_seed() {
    let got = arrivals(50.0, 4, &mut SplitMix64::new(42));
    let want = [
        0.005_979_852_491_477_445_5,
        0.042_642_685_794_498_8,
        0.068_202_169_009_191_1,
        0.089_533_356_343_939_19,
    ];
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-12), "{got:?}");
}

/// Kolmogorov and Smirnov: of 10,000 exponential gaps the largest distance from the distribution is above
/// 1.628 / sqrt(n) once in 100 times (Massey 1951), and the mean further than 3 / sqrt(n) once in 370.
#[test]
fn gaps_between_arrivals_are_exponential() {
    const COUNT: usize = 10_000;
    let times = arrivals(50.0, COUNT, &mut SplitMix64::new(42));
    let before = [0.0].into_iter().chain(times.iter().copied());
    let mut gaps: Vec<f64> = times.iter().zip(before).map(|(time, before)| time - before).collect();
    let root = (COUNT as f64).sqrt();
    let mean = gaps.iter().sum::<f64>() / COUNT as f64;
    assert!((mean * 50.0 - 1.0).abs() < 3.0 / root, "{mean}");
    gaps.sort_by(f64::total_cmp);
    let distance = gaps.iter().enumerate().fold(0.0f64, |most, (place, gap)| {
        let share = 1.0 - (-50.0 * gap).exp();
        let (low, high) = (place as f64 / COUNT as f64, (place + 1) as f64 / COUNT as f64);
        most.max((share - low).abs()).max((share - high).abs())
    });
    assert!(distance < 1.628 / root, "{distance}");
}
