//! What the times of two engines say about speed.

use mlxq_eval::gate::SpeedEvidence;
use mlxq_eval::stats::LogRatio;

use super::Scenario;
use super::rounds::FEWEST_QUERIES;
use super::timing::{TimedBlock, Timing};

/// Seconds below which a block is too short for its time to count.
const SHORTEST_BLOCK: f64 = 1.0;

impl Timing {
    /// This engine's speed against `baseline`'s, measured beside it: ratios of queries per minute, block by
    /// block. None under load, where the arrivals set the pace, and none of an invalid measurement.
    pub(in super::super) fn speed_against(&self, baseline: &Self) -> SpeedEvidence {
        if let Scenario::Server { .. } = self.scenario {
            let why =
                "in the scenario `server` the arrivals set the pace; its latencies are what counts";
            return SpeedEvidence::None(why.to_owned());
        }
        let Some(ratio) = self.ratio_to(baseline) else {
            return SpeedEvidence::None("the blocks gave no ratios".to_owned());
        };
        if !self.invalid.is_empty() {
            let (value, why) = (ratio.value(), self.invalid.join("; "));
            return SpeedEvidence::None(format!(
                "{value:.3} x the baseline, but not validly: {why}"
            ));
        }
        let seconds = self.long_seconds().min(baseline.long_seconds());
        SpeedEvidence::Measured { ratio, seconds }
    }

    /// The ratios of queries per minute, block by block, whether or not the measurement is valid; `None` under
    /// load, where they say nothing.
    pub(in super::super) fn ratio_to(&self, baseline: &Self) -> Option<LogRatio> {
        if let Scenario::Server { .. } = self.scenario {
            return None;
        }
        let pairs = self.blocks.iter().zip(&baseline.blocks);
        let ratios: Vec<f64> = pairs.map(|(ours, theirs)| ours.qpm() / theirs.qpm()).collect();
        LogRatio::new(&ratios)
    }

    /// Seconds in blocks that are long enough.
    fn long_seconds(&self) -> f64 {
        let is_long = |block: &&TimedBlock| {
            block.seconds >= SHORTEST_BLOCK && block.queries >= FEWEST_QUERIES
        };
        // From 0, since the sum of no floats is -0.
        self.blocks.iter().filter(is_long).fold(0.0, |sum, block| sum + block.seconds)
    }
}

#[cfg(test)]
mod tests {
    use mlxq_eval::gate::{Verdict, speed};

    use super::*;

    /// Ten blocks of 30 queries.
    fn timing(seconds: f64, scenario: Scenario) -> Timing {
        let block = TimedBlock {
            queries: 30,
            seconds,
            busy_seconds: seconds,
            tokens: 300,
            padded_tokens: 300,
        };
        Timing { scenario, blocks: vec![block; 10], ..Timing::default() }
    }

    fn verdict(ours: &Timing, theirs: &Timing) -> Verdict {
        speed(&ours.speed_against(theirs), 1.2).verdict
    }

    #[test]
    fn twice_as_fast_passes_where_the_scenario_is_about_speed() {
        for scenario in [Scenario::SingleStream, Scenario::Offline { batch_size: 30 }] {
            assert_eq!(verdict(&timing(6.0, scenario), &timing(12.0, scenario)), Verdict::Pass);
        }
        let server = Scenario::Server { rate: 5.0 };
        let (ours, theirs) = (timing(6.0, server), timing(12.0, server));
        assert_eq!(verdict(&ours, &theirs), Verdict::NotMeasured);
    }

    #[test]
    fn an_invalid_measurement_never_passes_and_says_what_it_found() {
        let scenario = Scenario::SingleStream;
        let mut ours = timing(6.0, scenario);
        ours.invalid.push("the machine was noisy".to_owned());
        let gate = speed(&ours.speed_against(&timing(12.0, scenario)), 1.2);
        assert_eq!(gate.verdict, Verdict::NotMeasured);
        assert!(!gate.point_passed);
        assert!(gate.description.contains("2.000 x the baseline, but not validly: the machine"));
    }

    /// Ten blocks of 0.9 s are no seconds that count.
    #[test]
    fn short_blocks_decide_nothing() {
        let scenario = Scenario::SingleStream;
        let (ours, theirs) = (timing(0.9, scenario), timing(12.0, scenario));
        assert_eq!(verdict(&ours, &theirs), Verdict::Inconclusive);
        assert!(matches!(
            ours.speed_against(&theirs),
            SpeedEvidence::Measured { seconds: 0.0, .. }
        ));
    }
}
