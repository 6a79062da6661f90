//! What the engines' runs on one data set came to, before it is a record.

use mlxq_checkpoint::recipe::Recipe;
use mlxq_engine::EngineInfo;
use mlxq_eval::gate::{Gate, Verdict};
use mlxq_eval::metric::{Metric, percentile};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::cell::{CellReport, Figure, GateReport, Quantization, SideReport, Sides, TimingSource};
use super::original::FirstAnswers;
use super::{Judgement, Sample, TimingReport, now_utc};
use crate::PipelineError;
use crate::config::ModelConfig;

/// The figures of one engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct SideFigures {
    /// The task's figures, the primary one first.
    pub(crate) scores: Vec<(Metric, f64)>,
    /// Queries per minute.
    pub(crate) qpm: Option<f64>,
    /// MiB of the folder, or of the weight files that are loaded.
    pub(crate) size_mb: f64,
    /// Bytes of all files.
    pub(crate) size_bytes: u64,
    /// Bytes of the weight files.
    pub(crate) weights_bytes: u64,
    /// Tokens per second, padding not counted, then counted.
    pub(crate) tokens_per_second: Option<(f64, f64)>,
    /// Memory, MiB: mean, peak.
    pub(crate) memory_mb: Option<(f64, f64)>,
    /// Memory, MiB: the process's own, pages of files.
    pub(crate) memory_split_mb: Option<(f64, f64)>,
    /// Milliseconds of each query.
    pub(crate) latencies_ms: Vec<f64>,
    /// Queries per minute of each block.
    pub(crate) blocks_qpm: Vec<f64>,
    /// Seconds measured.
    pub(crate) measured_seconds: f64,
    /// Seconds that loading took, and from the process's start to the loaded model.
    pub(crate) load_seconds: (f64, f64),
    /// Milliseconds of the first query.
    pub(crate) first_query_ms: f64,
    /// Queries before counting began.
    pub(crate) warmup_queries: usize,
    /// The first predictions: cosines or label ids of the data.
    pub(crate) predictions: Vec<Value>,
    /// Whether the times are from an earlier run.
    pub(crate) cached: bool,
    /// How the times were taken.
    pub(crate) timing: TimingReport,
}

/// One engine and its figures.
#[derive(Debug, Clone)]
pub(crate) struct Side {
    /// What ran.
    pub(crate) info: EngineInfo,
    /// What was measured.
    pub(crate) figures: SideFigures,
}

/// An engine and the numbers that it computes with, in words.
fn computed(info: &EngineInfo) -> String {
    let name = if info.engine == "torch" { "PyTorch" } else { "mlxq" };
    let numbers = info.setting("activations").or(info.setting("dtype"));
    match numbers {
        Some("float32") => format!("{name} in float32"),
        Some(numbers) => format!("{name} with {numbers} activations"),
        None => name.to_owned(),
    }
}

/// The record's content.
pub(crate) struct Comparison {
    pub(crate) model: String,
    pub(crate) dataset: String,
    pub(crate) torch: Option<Side>,
    /// Why there is no PyTorch side.
    pub(crate) torch_missing: Option<String>,
    /// The original in the native engine, or with `--against-itself` the converted model once more.
    pub(crate) reference: Side,
    pub(crate) against_itself: bool,
    pub(crate) converted: Side,
    pub(crate) speedup: Option<f64>,
    pub(crate) references: Vec<Value>,
    pub(crate) sample_size: usize,
    /// Accuracy, speed, size, and what else was asked for.
    pub(crate) gates: Vec<Gate>,
    /// The sides against each other, row by row.
    pub(crate) judgement: Judgement,
    /// Every row's answers.
    pub(crate) samples: Vec<Sample>,
    /// What else is worth keeping: hashes, settings, machine.
    pub(crate) details: Map<String, Value>,
    pub(crate) timestamp: f64,
}

impl Comparison {
    /// The verdict of all gates.
    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::of_all(self.gates.iter().map(|gate| gate.verdict))
    }

    /// The baseline of the accuracy gate: PyTorch, or without it the reference.
    pub(crate) fn baseline(&self) -> &Side {
        self.torch.as_ref().unwrap_or(&self.reference)
    }

    /// What the verdict compares, with the numbers that each side computes with.
    pub(crate) fn compares(&self) -> String {
        let converted = computed(&self.converted.info);
        if self.against_itself {
            return format!("{converted} against itself, the same model in two processes");
        }
        format!("{converted} against {}", computed(&self.baseline().info))
    }

    /// The reference by what it is: the original, or the converted model itself.
    fn reference<T>(&self, of: impl Fn(&Side) -> T) -> (Option<T>, Option<T>) {
        let reference = Some(of(&self.reference));
        if self.against_itself { (None, reference) } else { (reference, None) }
    }

    /// The record of the cell `id`, whose `key` stands for all that it depends on, measured by `run`.
    ///
    /// # Errors
    /// When `details` lack what every record has.
    pub(crate) fn report(
        &self,
        model: &ModelConfig,
        id: &str,
        key: &str,
        run: &str,
    ) -> Result<CellReport, PipelineError> {
        let detail = |name: &str| self.details.get(name).filter(|value| !value.is_null());
        let (native_original, itself) = self.reference(Side::report);
        let interval = detail("speedup_interval_95").map(|found| from_json(found.clone()));
        let labels = detail("labels").map(|found| from_json(found.clone()));
        let check = detail("implementation_check").map(|found| from_json(found.clone()));
        Ok(CellReport {
            id: id.to_owned(),
            key: key.to_owned(),
            measured: now_utc(),
            measured_by: run.to_owned(),
            model: self.model.clone(),
            dataset_key: self.dataset.clone(),
            quantization: Quantization::from(&model.recipe),
            sample_size: self.sample_size,
            provenance: from_json(Value::Object(self.details.clone()))?,
            labels: labels.transpose()?,
            sides: Sides {
                torch: self.torch.as_ref().map(Side::report),
                native_original,
                itself,
                converted: self.converted.report(),
            },
            torch_missing: self.torch_missing.clone(),
            implementation_check: check.transpose()?,
            speedup: self.speedup,
            speedup_interval_95: interval.transpose()?,
            judgement: self.judgement.clone(),
            gates: self.gates.iter().map(GateReport::from).collect(),
            verdict: self.verdict().into(),
            verdict_compares: self.compares(),
            timestamp: self.timestamp,
        })
    }
}

impl Comparison {
    /// The first answers of every side, as the original pipeline's files have them.
    pub(crate) fn first(&self) -> FirstAnswers {
        let (native_original, itself) = self.reference(|side| side.figures.predictions.clone());
        FirstAnswers {
            references: self.references.clone(),
            torch: self.torch.as_ref().map(|side| side.figures.predictions.clone()),
            native_original,
            itself,
            converted: self.converted.figures.predictions.clone(),
        }
    }
}

impl Side {
    fn report(&self) -> SideReport {
        let Self { info, figures } = self;
        let count = figures.latencies_ms.len();
        let missing = [("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95), ("latency_p99_ms", 0.99)];
        let missing = missing.into_iter().filter_map(|(key, p)| {
            Some((key.to_owned(), figures.timing.missing_latency(count, p)?))
        });
        let percentile_ms = |p| percentile(&figures.latencies_ms, p);
        SideReport {
            engine: info.into(),
            scores: figures.scores.iter().map(Figure::from).collect(),
            qpm: figures.qpm,
            tokens_per_sec: figures.tokens_per_second.map(|rates| rates.0),
            padded_tokens_per_sec: figures.tokens_per_second.map(|rates| rates.1),
            latency_p50_ms: percentile_ms(0.5),
            latency_p95_ms: percentile_ms(0.95),
            latency_p99_ms: percentile_ms(0.99),
            memory_avg_mb: figures.memory_mb.map(|memory| memory.0),
            memory_peak_mb: figures.memory_mb.map(|memory| memory.1),
            memory_anonymous_mb: figures.memory_split_mb.map(|split| split.0),
            memory_file_mb: figures.memory_split_mb.map(|split| split.1),
            size_mb: figures.size_mb,
            size_bytes: figures.size_bytes,
            weights_bytes: figures.weights_bytes,
            load_seconds: figures.load_seconds.0,
            start_seconds: figures.load_seconds.1,
            first_query_ms: figures.first_query_ms,
            warmup_queries: figures.warmup_queries,
            measured_seconds: figures.measured_seconds,
            timing_source: match figures.cached {
                true => TimingSource::Cached,
                false => TimingSource::ThisRun,
            },
            blocks_qpm: figures.blocks_qpm.clone(),
            latencies_ms: figures.latencies_ms.clone(),
            missing: missing.collect(),
            timing: figures.timing.clone(),
        }
    }
}

impl From<&(Metric, f64)> for Figure {
    fn from((metric, value): &(Metric, f64)) -> Self {
        Self { metric: metric.name().to_owned(), title: metric.title().to_owned(), value: *value }
    }
}

impl From<&Recipe> for Quantization {
    fn from(recipe: &Recipe) -> Self {
        Self {
            mode: recipe.format.mode().to_owned(),
            bits: recipe.format.bits(),
            group_size: recipe.format.group_size(),
            dtype: recipe.float.map(|float| float.name().to_owned()),
            quant_predicate: recipe.mixed.map(|mixed| mixed.to_string()),
            overrides: recipe.overrides.iter().map(|choice| choice.text().to_owned()).collect(),
        }
    }
}

fn from_json<T: DeserializeOwned>(value: Value) -> Result<T, PipelineError> {
    let wrong = |error| PipelineError::Measure(format!("the record is incomplete: {error}"));
    serde_json::from_value(value).map_err(wrong)
}
