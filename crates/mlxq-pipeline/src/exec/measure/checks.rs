//! Whether times may be judged, and what a reader should know of those of one engine.
//!
//! A noisy machine, or an engine that computes while another is measured, makes the whole measurement
//! invalid. Drift and outliers do not: they fall on both sides of a pair of blocks. They are flags of the
//! engine that shows them.

use mlxq_eval::stats::drift::{NOISY_SPREAD, Trend, outliers, spread};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ServerLoad;
use super::timing::{TimedBlock, Timing};
use crate::exec::environment::Environment;

/// The spread of three warm-up blocks in a row that counts as warm.
const WARM_SPREAD: f64 = 0.03;
/// Cores that a waiting engine may use, and processor seconds below which they are not told from the
/// steps of the kernel's counters.
const IDLE_CORES: f64 = 0.02;
const IDLE_SECONDS: f64 = 0.1;

/// Whether the last three of `seconds` differ by 3 % at most.
pub(super) fn settled(seconds: &[f64]) -> bool {
    let [.., a, b, c] = seconds else { return false };
    a.max(*b).max(*c) <= a.min(*b).min(*c) * (1.0 + WARM_SPREAD)
}

/// Whether a measurement may be judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TimingChecks {
    /// Whether it may.
    pub(crate) valid: bool,
    /// Why not, in words.
    pub(crate) invalid: Vec<String>,
    /// Milliseconds of one fixed piece of work, before each block and after the last.
    pub(crate) calibration_ms: Vec<f64>,
    /// Their 95 % quantile by their 5 % quantile; above 1.10 the machine is noisy.
    pub(crate) calibration_spread: Option<f64>,
}

impl TimingChecks {
    /// Of the calibration's times, the engines' and what the machine did meanwhile.
    pub(super) fn of(
        calibration_ms: Vec<f64>,
        timings: &[Timing],
        environment: &Environment,
    ) -> Self {
        let calibration_spread = spread(&calibration_ms);
        let mut invalid = Vec::new();
        if let Some(spread) = calibration_spread.filter(|spread| *spread > NOISY_SPREAD) {
            let more = environment.notes.iter().map(|note| format!("; {note}"));
            invalid.push(format!(
                "the machine was noisy: the same work took up to {spread:.2} times as long (at most \
                 {NOISY_SPREAD:.2} is allowed){}",
                more.collect::<String>()
            ));
        }
        for (timing, engine) in timings.iter().zip(&environment.engines) {
            if let Some(cores) = timing.checks.busy_while_idle() {
                let name = &engine.engine;
                invalid.push(format!("the {name} engine used {cores:.2} cores while others ran"));
            }
        }
        Self { valid: invalid.is_empty(), invalid, calibration_ms, calibration_spread }
    }
}

/// What was noticed about one engine's times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SideChecks {
    /// In words, why its own times, apart from ratios of paired blocks, are less certain.
    pub(crate) flags: Vec<String>,
    /// Whether three warm-up blocks in a row differed by 3 % at most.
    pub(crate) warm: bool,
    /// Slope of the logarithm of a block's seconds per token against the block's number.
    pub(crate) trend_per_block: Option<f64>,
    /// The chance of such a slope without a trend.
    pub(crate) trend_p_value: Option<f64>,
    /// Blocks, counted from 0, that are far from the median; they count like the others.
    pub(crate) outlier_blocks: Vec<usize>,
    /// Seconds that others computed.
    pub(crate) idle_seconds: f64,
    /// Processor seconds that it used meanwhile.
    pub(crate) idle_cpu_seconds: Option<f64>,
    /// How often the kernel took a processor from it, from the first block to the last.
    pub(crate) involuntary_switches: Option<u64>,
}

impl SideChecks {
    /// Trend and outliers of `blocks`.
    pub(super) fn of(blocks: &[TimedBlock]) -> Self {
        let times: Vec<f64> = blocks.iter().map(TimedBlock::seconds_per_token).collect();
        let trend = Trend::of(&times);
        let mut checks = Self {
            trend_per_block: trend.map(|trend| trend.slope),
            trend_p_value: trend.map(|trend| trend.p_value),
            outlier_blocks: outliers(&times),
            ..Self::default()
        };
        if let Some(trend) = trend.filter(Trend::is_drift) {
            let percent = trend.change().exp_m1() * 100.0;
            checks.flags.push(format!(
                "its times drifted by {percent:+.1} % over {} blocks (p {:.1e})",
                trend.blocks, trend.p_value
            ));
        }
        if !checks.outlier_blocks.is_empty() {
            let (few, all) = (checks.outlier_blocks.len(), blocks.len());
            checks.flags.push(format!("{few} of {all} blocks are far from the median"));
        }
        checks
    }

    /// Says what else is known: that it did not get warm, or not keep up with `load`.
    pub(super) fn set_flags(&mut self, load: Option<ServerLoad>) {
        if !self.warm {
            self.flags.push("warm-up ended before its times had settled".to_owned());
        }
        if let Some(load) = load.filter(|load| !load.kept_up) {
            self.flags.push(format!(
                "it did not keep up with {} queries a second: they are {:.2} times what it can do, and \
                 the queue grew",
                load.rate_per_second, load.utilization
            ));
        }
    }

    /// Cores that it used while others were measured, if they are too many.
    fn busy_while_idle(&self) -> Option<f64> {
        let used = self.idle_cpu_seconds.filter(|used| *used > IDLE_SECONDS)?;
        let cores = used / self.idle_seconds;
        (cores > IDLE_CORES).then_some(cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::environment::EngineFacts;

    fn blocks(seconds: &[f64]) -> Vec<TimedBlock> {
        let block = |seconds: &f64| TimedBlock {
            queries: 20,
            seconds: *seconds,
            busy_seconds: *seconds,
            tokens: 100,
            padded_tokens: 100,
        };
        seconds.iter().map(block).collect()
    }

    fn environment() -> Environment {
        let engine = EngineFacts { engine: "torch".to_owned(), ..EngineFacts::default() };
        Environment { engines: vec![engine], ..Environment::default() }
    }

    /// By hand: 1.03 is 3 % above 1.00, 1.031 is more.
    #[test]
    fn warm_is_three_blocks_within_three_percent() {
        assert!(settled(&[9.0, 1.0, 1.03, 1.01]));
        assert!(!settled(&[1.0, 1.031, 1.01]));
        assert!(!settled(&[1.0, 1.0]));
    }

    #[test]
    fn a_noisy_machine_makes_a_measurement_invalid() {
        let quiet = TimingChecks::of(vec![50.0, 51.0, 50.5, 50.2], &[], &environment());
        assert!(quiet.valid && quiet.invalid.is_empty());
        let noisy = TimingChecks::of(vec![50.0, 58.0, 50.5, 50.2], &[], &environment());
        assert!(!noisy.valid && noisy.invalid[0].contains("noisy"), "{noisy:?}");
    }

    /// By hand: 0.5 s of 10 s are 0.05 cores; 0.1 s are within the steps of the counters.
    #[test]
    fn an_engine_that_does_not_rest_makes_a_measurement_invalid() {
        let checked = |idle_seconds, used| {
            let checks =
                SideChecks { idle_seconds, idle_cpu_seconds: used, ..SideChecks::default() };
            let timing = Timing { checks, ..Timing::default() };
            TimingChecks::of(vec![50.0; 3], &[timing], &environment())
        };
        let busy = checked(10.0, Some(0.5));
        assert!(!busy.valid && busy.invalid[0].contains("torch engine used 0.05 cores"));
        assert!(checked(100.0, Some(0.5)).valid);
        assert!(checked(1.0, Some(0.1)).valid);
        assert!(checked(10.0, None).valid);
    }

    #[test]
    fn drift_and_outliers_are_flags_of_one_side() {
        let steady = SideChecks::of(&blocks(&[1.0, 1.01, 0.99, 1.0, 1.01, 0.99, 1.0]));
        assert!(steady.flags.is_empty(), "{steady:?}");
        let rising = [1.00, 1.01, 1.02, 1.03, 1.035, 1.05, 1.06, 1.065, 1.08, 1.09];
        let drift = SideChecks::of(&blocks(&rising));
        assert!(drift.flags[0].contains("drifted by +9.9 %"), "{drift:?}");
        let outlier = SideChecks::of(&blocks(&[1.0, 1.01, 0.99, 2.0, 1.01, 0.99, 1.0]));
        assert_eq!(outlier.outlier_blocks, [3]);
        assert!(outlier.flags[0].contains("1 of 7 blocks"), "{outlier:?}");
    }

    #[test]
    fn cold_and_overloaded_engines_are_flagged() {
        let mut checks = SideChecks { warm: true, ..SideChecks::default() };
        checks.set_flags(Some(ServerLoad::of(9.0, &blocks(&[2.0]), 0.0)));
        assert!(checks.flags.is_empty(), "nine times a tenth of a second: {checks:?}");
        checks.warm = false;
        checks.set_flags(Some(ServerLoad::of(11.0, &blocks(&[2.0]), 0.0)));
        assert!(checks.flags[0].contains("settled") && checks.flags[1].contains("1.10 times"));
    }
}
