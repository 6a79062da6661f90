//! What a record says of how one engine's times were taken, beside the figures themselves.

use mlxq_eval::metric::{fewest_for_quantile, percentile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::exec::measure::checks::SideChecks;
use crate::exec::measure::{Scenario, ServerLoad};

/// Scenario, times of batches, load, memory above the idle process, and what was noticed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TimingReport {
    /// `single-stream`, `offline` or `server`.
    pub(crate) scenario: String,
    /// Queries of a batch, in the scenario `offline`.
    pub(crate) batch_size: Option<usize>,
    /// Milliseconds of a full batch, in the scenario `offline`; `null` where there are too few batches.
    pub(crate) batch_latency_p50_ms: Option<f64>,
    /// See `batch_latency_p50_ms`.
    pub(crate) batch_latency_p95_ms: Option<f64>,
    /// See `batch_latency_p50_ms`.
    pub(crate) batch_latency_p99_ms: Option<f64>,
    /// Milliseconds of every full batch.
    pub(crate) batch_latencies_ms: Vec<f64>,
    /// How the engine bore its load, in the scenario `server`.
    pub(crate) load: Option<ServerLoad>,
    /// Memory of the process with everything imported and no model, MiB.
    pub(crate) memory_idle_mb: Option<f64>,
    /// Mean memory above that, MiB.
    pub(crate) memory_avg_above_idle_mb: Option<f64>,
    /// Peak memory above that, MiB.
    pub(crate) memory_peak_above_idle_mb: Option<f64>,
    /// What was noticed about these times.
    pub(crate) timing_checks: SideChecks,
}

impl TimingReport {
    /// Times of batches and the scenario's own settings.
    pub(crate) fn new(scenario: Scenario, batch_latencies_ms: Vec<f64>) -> Self {
        let percentile_ms = |p| percentile(&batch_latencies_ms, p);
        Self {
            scenario: scenario.name().to_owned(),
            batch_size: match scenario {
                Scenario::Offline { batch_size } => Some(batch_size),
                Scenario::SingleStream | Scenario::Server { .. } => None,
            },
            batch_latency_p50_ms: percentile_ms(0.5),
            batch_latency_p95_ms: percentile_ms(0.95),
            batch_latency_p99_ms: percentile_ms(0.99),
            batch_latencies_ms,
            ..Self::default()
        }
    }

    /// With the memory of the idle process, and how far mean and peak are above it.
    pub(crate) fn with_memory(self, idle: Option<f64>, mean_and_peak: Option<(f64, f64)>) -> Self {
        let above = |memory: f64| idle.map(|idle| (memory - idle).max(0.0));
        Self {
            memory_idle_mb: idle,
            memory_avg_above_idle_mb: mean_and_peak.and_then(|(mean, _)| above(mean)),
            memory_peak_above_idle_mb: mean_and_peak.and_then(|(_, peak)| above(peak)),
            ..self
        }
    }

    /// Why there is no `p`-quantile of `count` queries, if there is none.
    pub(crate) fn missing_latency(&self, count: usize, p: f64) -> Option<String> {
        if self.batch_size.is_some() {
            return Some("only batches are timed".to_owned());
        }
        let fewest = fewest_for_quantile(p);
        (count < fewest).then(|| format!("{count} queries, needs {fewest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: of 1 to 59, interpolated, the median is 30 and the 95 % quantile 56.1; 299 are needed for
    /// the 99 %.
    #[test]
    fn batches_have_percentiles_of_their_own_and_queries_none() {
        let times: Vec<f64> = (1..=59).map(f64::from).collect();
        let report = TimingReport::new(Scenario::Offline { batch_size: 8 }, times);
        assert_eq!(report.batch_latency_p50_ms, Some(30.0));
        assert!(report.batch_latency_p95_ms.is_some_and(|ms| (ms - 56.1).abs() < 1e-9));
        assert_eq!(report.batch_latency_p99_ms, None);
        assert!(report.missing_latency(1000, 0.5).is_some_and(|why| why.contains("batches")));
    }

    /// By `1 - 0.95^59 >= 0.95 > 1 - 0.95^58`.
    #[test]
    fn percentiles_of_few_queries_are_withheld() {
        let report = TimingReport::new(Scenario::Server { rate: 5.0 }, Vec::new());
        assert_eq!(report.missing_latency(59, 0.95), None);
        assert_eq!(report.missing_latency(58, 0.95).as_deref(), Some("58 queries, needs 59"));
    }

    #[test]
    fn memory_above_idle_is_a_difference() {
        let report = TimingReport::default().with_memory(Some(300.0), Some((450.0, 500.0)));
        assert_eq!(report.memory_avg_above_idle_mb, Some(150.0));
        assert_eq!(report.memory_peak_above_idle_mb, Some(200.0));
        let unknown = TimingReport::default().with_memory(None, Some((450.0, 500.0)));
        assert_eq!(unknown.memory_peak_above_idle_mb, None);
    }
}
