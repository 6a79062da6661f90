//! One model on one data set as `report.json` has it: complete in itself, and what the tables and the
//! original pipeline's files are made from.

use std::collections::BTreeMap;

use mlxq_engine::EngineInfo;
use mlxq_eval::gate::{Gate, Verdict};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Judgement;
use super::provenance::{Agreement, Provenance};
use super::timing::TimingReport;

/// What a gate or all gates together say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The rule holds, beyond doubt.
    Pass,
    /// No rule was asked for.
    #[serde(rename = "not set")]
    NotSet,
    /// The data cannot decide.
    Inconclusive,
    /// There is no valid data.
    #[serde(rename = "not measured")]
    NotMeasured,
    /// The rule is broken, beyond doubt.
    Fail,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::NotSet => Self::NotSet,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::NotMeasured => Self::NotMeasured,
            Verdict::Fail => Self::Fail,
        }
    }
}

impl From<Outcome> for Verdict {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::NotSet => Self::NotSet,
            Outcome::Inconclusive => Self::Inconclusive,
            Outcome::NotMeasured => Self::NotMeasured,
            Outcome::Fail => Self::Fail,
        }
    }
}

/// One model × quantization × data set, measured and judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CellReport {
    /// `<model>_q<bits>_<dataset>`, as in the names of files, with `_itself` behind it where a model was held
    /// against itself; unique in a run.
    pub(crate) id: String,
    /// BLAKE3 of everything that it depends on; a later run with the same key does not compute it again.
    pub(crate) key: String,
    /// When it was measured, RFC 3339 in UTC.
    pub(crate) measured: String,
    /// The run that measured it.
    pub(crate) measured_by: String,
    /// The model's name.
    pub(crate) model: String,
    /// The data set's key.
    pub(crate) dataset_key: String,
    /// How the converted model is quantized.
    pub(crate) quantization: Quantization,
    /// Rows used.
    pub(crate) sample_size: usize,
    /// Data set, tokens, protocol, checkpoints.
    pub(crate) provenance: Provenance,
    /// How labels of data and model were brought together; `null` where there are none.
    pub(crate) labels: Option<LabelReport>,
    /// Every engine with its figures.
    pub(crate) sides: Sides,
    /// Why there is no PyTorch side.
    pub(crate) torch_missing: Option<String>,
    /// How far PyTorch and the native engine are apart on the same checkpoint.
    pub(crate) implementation_check: Option<Agreement>,
    /// Converted over PyTorch, queries per minute. With `--against-itself`, over the converted model itself,
    /// also where the times are not valid.
    pub(crate) speedup: Option<f64>,
    /// Its two-sided 95 % interval.
    pub(crate) speedup_interval_95: Option<[f64; 2]>,
    /// The sides against each other, row by row.
    pub(crate) judgement: Judgement,
    /// The gates.
    pub(crate) gates: Vec<GateReport>,
    /// All gates together.
    pub(crate) verdict: Outcome,
    /// What the verdict compares, with the numbers that each side computes with.
    pub(crate) verdict_compares: String,
    /// Seconds since 1970, as the original pipeline writes it.
    pub(crate) timestamp: f64,
}

impl CellReport {
    /// The side that accuracy is judged against: PyTorch, or without it the original in the native engine,
    /// or the model itself.
    pub(crate) fn baseline(&self) -> Option<&SideReport> {
        let Sides { torch, native_original, itself, .. } = &self.sides;
        torch.as_ref().or(native_original.as_ref()).or(itself.as_ref())
    }

    /// The primary figure that went from the baseline to the converted model, as a drop.
    pub(crate) fn drop(&self) -> Option<f64> {
        Some(self.baseline()?.primary()? - self.sides.converted.primary()?)
    }
}

/// The labels of data and model, and whether the baseline's answers speak against their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LabelReport {
    /// Label of the data → class scored.
    pub(crate) data_labels: BTreeMap<String, Option<String>>,
    /// Label of the model → class scored; `null` for one that the data does not have.
    pub(crate) model_labels: BTreeMap<String, Option<String>>,
    /// Which labels were put together, in words.
    pub(crate) fold: Option<String>,
    /// The baseline's answers by class; `null` of many classes.
    #[serde(default)]
    pub(crate) confusion: Option<ConfusionReport>,
    /// What speaks for another order of the labels.
    pub(crate) suspicion: Option<Value>,
}

/// Rows by what is right and what was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ConfusionReport {
    /// Names of the classes.
    pub(crate) classes: Vec<String>,
    /// Counts, `[class that is right][class that was said]`; the last column is for labels of the model
    /// that are not scored.
    pub(crate) counts: Vec<Vec<usize>>,
}

/// How a converted model is quantized.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Quantization {
    /// `affine`, `mxfp4`, `mxfp8` or `nvfp4`.
    pub(crate) mode: String,
    /// Bits per weight.
    pub(crate) bits: u32,
    /// Weights per scale.
    pub(crate) group_size: usize,
    /// Format of what is not quantized, if it was asked for.
    pub(crate) dtype: Option<String>,
    /// A mixed recipe.
    pub(crate) quant_predicate: Option<String>,
    /// Choices for single modules, as written.
    pub(crate) overrides: Vec<String>,
}

/// The engines of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sides {
    /// The original in PyTorch.
    pub(crate) torch: Option<SideReport>,
    /// The original in the native engine, in float32; `null` only with `--against-itself`.
    pub(crate) native_original: Option<SideReport>,
    /// The converted model in a second process, in the baseline's place: only with `--against-itself`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) itself: Option<SideReport>,
    /// The converted model.
    pub(crate) converted: SideReport,
}

/// One engine and everything measured of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SideReport {
    /// What ran.
    pub(crate) engine: EngineReport,
    /// The task's figures, the primary one first.
    pub(crate) scores: Vec<Figure>,
    /// Queries per minute over all counted blocks.
    pub(crate) qpm: Option<f64>,
    /// Tokens per second, padding not counted.
    pub(crate) tokens_per_sec: Option<f64>,
    /// The same, padding counted.
    pub(crate) padded_tokens_per_sec: Option<f64>,
    /// Milliseconds of a query; `null` with a reason in `missing` where there are too few queries.
    pub(crate) latency_p50_ms: Option<f64>,
    /// See `latency_p50_ms`.
    pub(crate) latency_p95_ms: Option<f64>,
    /// See `latency_p50_ms`.
    pub(crate) latency_p99_ms: Option<f64>,
    /// MiB while it computes its counted blocks, mean over time.
    pub(crate) memory_avg_mb: Option<f64>,
    /// The most.
    pub(crate) memory_peak_mb: Option<f64>,
    /// The process's own part, after the last block.
    pub(crate) memory_anonymous_mb: Option<f64>,
    /// The part that is pages of files.
    pub(crate) memory_file_mb: Option<f64>,
    /// MiB of all files of the folder.
    pub(crate) size_mb: f64,
    /// Their bytes.
    pub(crate) size_bytes: u64,
    /// Bytes of the weight files.
    pub(crate) weights_bytes: u64,
    /// Seconds that loading took.
    pub(crate) load_seconds: f64,
    /// Seconds from the process's start to the loaded model.
    pub(crate) start_seconds: f64,
    /// Milliseconds of the first query.
    pub(crate) first_query_ms: f64,
    /// Queries before counting began.
    pub(crate) warmup_queries: usize,
    /// Seconds counted.
    pub(crate) measured_seconds: f64,
    /// `this run`, or `cached`: PyTorch's times of an earlier run, asked for with `--reuse-baseline`.
    pub(crate) timing_source: TimingSource,
    /// Queries per minute of each block.
    pub(crate) blocks_qpm: Vec<f64>,
    /// Milliseconds of every counted query.
    pub(crate) latencies_ms: Vec<f64>,
    /// Figure → why there is none.
    pub(crate) missing: BTreeMap<String, String>,
    /// How these times were taken: scenario, batches, load, memory above idle, what was noticed.
    pub(crate) timing: TimingReport,
}

impl SideReport {
    /// The task's primary figure.
    pub(crate) fn primary(&self) -> Option<f64> {
        self.scores.first().map(|figure| figure.value)
    }
}

/// One figure of the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Figure {
    /// The metric's name.
    pub(crate) metric: String,
    /// Its name for people.
    pub(crate) title: String,
    /// A share or a correlation.
    pub(crate) value: f64,
}

/// Where times come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) enum TimingSource {
    /// Measured beside the other engines.
    #[serde(rename = "this run")]
    ThisRun,
    /// Kept from an earlier run.
    #[serde(rename = "cached")]
    Cached,
}

/// Which engine ran, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EngineReport {
    /// `native` or `torch`.
    pub(crate) engine: String,
    /// Its version and those of the libraries under it.
    pub(crate) version: String,
    /// Instruction set or device.
    pub(crate) device: String,
    /// Threads that it computes with.
    pub(crate) threads: usize,
    /// `embedding` or `logits`.
    pub(crate) output: String,
    /// Names of the logits in id order.
    pub(crate) labels: Vec<String>,
    /// Further settings: attention implementation, dtype, pooling.
    pub(crate) settings: Vec<(String, String)>,
}

impl From<&EngineInfo> for EngineReport {
    fn from(info: &EngineInfo) -> Self {
        Self {
            engine: info.engine.clone(),
            version: info.version.clone(),
            device: info.device.clone(),
            threads: info.threads,
            output: match info.output {
                mlxq_engine::OutputKind::Embedding => "embedding".to_owned(),
                mlxq_engine::OutputKind::Logits => "logits".to_owned(),
            },
            labels: info.labels.clone(),
            settings: info.settings.clone(),
        }
    }
}

/// One gate's result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct GateReport {
    /// `accuracy`, `speed`, `size`, ….
    pub(crate) name: String,
    /// What it says.
    pub(crate) verdict: Outcome,
    /// The figure judged.
    pub(crate) value: Option<f64>,
    /// What it is held against.
    pub(crate) threshold: Option<f64>,
    /// Whether the figure alone, without its uncertainty, meets the threshold.
    pub(crate) point_passed: bool,
    /// The rule and its numbers in words.
    pub(crate) description: String,
}

impl From<&Gate> for GateReport {
    fn from(gate: &Gate) -> Self {
        Self {
            name: gate.name.to_owned(),
            verdict: gate.verdict.into(),
            value: gate.value,
            threshold: gate.threshold,
            point_passed: gate.point_passed,
            description: gate.description.clone(),
        }
    }
}
