//! From the seconds of each round to figures and ratios.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// What the driver tells of one series: a model's engines on one set of rows.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Series {
    pub(super) name: String,
    /// Engines that were not compared, and why.
    pub(super) skipped: Vec<String>,
    /// Rows of each workload.
    pub(super) rows: BTreeMap<String, usize>,
    /// Tokens of each workload.
    pub(super) tokens: BTreeMap<String, usize>,
    pub(super) engines: Vec<Engine>,
}

/// One engine's rounds.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Engine {
    pub(super) name: String,
    pub(super) about: About,
    pub(super) resident_bytes: Option<f64>,
    pub(super) rounds: BTreeMap<String, Vec<Round>>,
    /// Against float64 of the original weights.
    pub(super) error: Option<Error>,
    /// Against float64 of the engine's own weights.
    pub(super) error_same_weights: Option<Error>,
}

/// What an engine says of itself.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct About {
    pub(super) version: String,
    pub(super) device: Option<String>,
}

/// Seconds of a round's two passes.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub(super) struct Round {
    /// The median call.
    pub(super) p50: f64,
    /// All calls of a pass.
    pub(super) sum: f64,
}

/// How far the last hidden states are off.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
pub(super) struct Error {
    /// Largest difference, over the largest value.
    pub(super) largest_difference: f64,
    /// Of the mean-pooled vectors' cosines the smallest, from 1.
    pub(super) one_minus_cosine: f64,
}

/// A workload's figure of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Figure {
    /// Milliseconds of the median call, or texts a second.
    pub(super) value: f64,
    /// Times as fast as the better of PyTorch's two settings.
    pub(super) per_pytorch: Option<f64>,
    /// Times as fast as the better of ONNX Runtime's two int8 graphs.
    pub(super) per_ort: Option<f64>,
}

impl Series {
    pub(super) fn engine(&self, name: &str) -> Option<&Engine> {
        self.engines.iter().find(|engine| engine.name == name)
    }

    /// The figure of `engine` for `workload`.
    pub(super) fn figure(&self, engine: &Engine, workload: &str) -> Option<Figure> {
        let own = engine.seconds(workload)?;
        let seconds = median(own.clone())?;
        let value = match is_single(workload) {
            true => seconds * 1e3,
            false => *self.rows.get(workload)? as f64 / seconds,
        };
        let against = |family| ratio(&self.best(family, workload)?, &own);
        Some(Figure { value, per_pytorch: against("PyTorch f32"), per_ort: against("ORT int8") })
    }

    /// The figures of every engine: `{name, engines: [{name, workload: figure, …}]}`.
    pub(super) fn figures(&self) -> Value {
        let line = |engine: &Engine| {
            let of = |name: &String| Some((name.clone(), json!(self.figure(engine, name)?)));
            let own = json!({"name": engine.name, "version": engine.about.version});
            let mut line: Map<String, Value> = self.rows.keys().filter_map(of).collect();
            line.extend(own.as_object().cloned().unwrap_or_default());
            line
        };
        json!({"name": self.name, "engines": self.engines.iter().map(line).collect::<Vec<_>>()})
    }

    /// Seconds of each round of the engine with the least median, among those whose name begins so.
    fn best(&self, family: &str, workload: &str) -> Option<Vec<f64>> {
        let engines = self.engines.iter().filter(|engine| engine.name.starts_with(family));
        let seconds = engines.filter_map(|engine| engine.seconds(workload));
        let timed = seconds.filter_map(|seconds| Some((median(seconds.clone())?, seconds)));
        timed.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, seconds)| seconds)
    }

    /// How many times as fast `engine` is as `other`.
    pub(super) fn speedup(&self, engine: &str, other: &str, workload: &str) -> Option<f64> {
        ratio(&self.engine(other)?.seconds(workload)?, &self.engine(engine)?.seconds(workload)?)
    }
}

impl Engine {
    /// Seconds of each round: of the median call where texts come one at a time, else of a pass.
    fn seconds(&self, workload: &str) -> Option<Vec<f64>> {
        let of = |round: &Round| if is_single(workload) { round.p50 } else { round.sum };
        Some(self.rounds.get(workload)?.iter().map(of).collect())
    }
}

/// Whether texts come one at a time.
pub(super) fn is_single(workload: &str) -> bool {
    workload == "single" || workload.starts_with("tokens-")
}

/// The median of the rounds' ratios.
fn ratio(theirs: &[f64], ours: &[f64]) -> Option<f64> {
    median(theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect())
}

/// The median; of an even number of values the mean of the two in the middle.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Three rounds of invented seconds: passes of 100 rows, and the calls in them.
    pub(in super::super) fn series() -> Series {
        let engine = |name: &str, passes: [f64; 3]| {
            let rounds: Vec<_> =
                passes.iter().map(|sum| json!({"p50": sum / 100.0, "sum": sum})).collect();
            json!({"name": name, "about": {"version": "1"}, "resident_bytes": 8e7,
                "rounds": {"single": rounds, "sorted": rounds},
                "error": {"largest_difference": 1e-2, "one_minus_cosine": 1e-4},
                "error_same_weights": {"largest_difference": 1e-4, "one_minus_cosine": 8e-7}})
        };
        serde_json::from_value(json!({
            "name": "all-MiniLM-L6-v2", "skipped": [], "rows": {"single": 100, "sorted": 100},
            "tokens": {"single": 1000, "sorted": 1000},
            "engines": [
                engine("PyTorch f32 (sdpa)", [9.0, 2.0, 8.0]),
                engine("PyTorch f32 (eager)", [4.0, 6.0, 9.0]),
                engine("ORT int8", [2.0, 2.0, 2.0]),
                engine("mlxq A16", [1.0, 1.0, 2.0]),
            ],
        }))
        .expect("a series")
    }

    #[test]
    fn ratios_are_taken_in_each_round_against_the_better_peer() {
        let series = series();
        let ours = series.engine("mlxq A16").expect("it is there");
        // Medians are 8 for sdpa and 6 for eager; eager's ratios are 4, 6 and 4.5.
        let sorted = series.figure(ours, "sorted").expect("a figure");
        assert_eq!(sorted, Figure { value: 100.0, per_pytorch: Some(4.5), per_ort: Some(2.0) });
        let single = series.figure(ours, "single").expect("a figure");
        assert_eq!(single.value, 10.0);
        assert_eq!(series.speedup("ORT int8", "mlxq A16", "sorted"), Some(0.5));
        assert!(series.figure(ours, "stream").is_none());
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
