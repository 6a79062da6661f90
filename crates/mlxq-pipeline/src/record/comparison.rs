//! The record of one model on one data set.

use mlxq_engine::EngineInfo;
use mlxq_eval::gate::{Gate, Verdict};
use mlxq_eval::metric::{Metric, fewest_for_quantile, percentile};
use serde_json::{Map, Value, json};

use super::{Judgement, Sample};

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
}

impl SideFigures {
    /// The task's primary figure.
    pub(crate) fn primary(&self) -> Option<f64> {
        self.scores.first().map(|(_, value)| *value)
    }
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
    pub(crate) bits: u32,
    pub(crate) torch: Option<Side>,
    /// Why there is no PyTorch side.
    pub(crate) torch_missing: Option<String>,
    pub(crate) native_original: Side,
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

    /// The baseline of the accuracy gate: PyTorch, or without it the original in the native engine.
    pub(crate) fn baseline(&self) -> &Side {
        self.torch.as_ref().unwrap_or(&self.native_original)
    }

    /// What the verdict compares, with the numbers that each side computes with.
    pub(crate) fn compares(&self) -> String {
        format!("{} against {}", computed(&self.converted.info), computed(&self.baseline().info))
    }

    /// The record as JSON, with the original's keys.
    pub(crate) fn to_json(&self) -> Value {
        let side = |side: &Side| self.side(side);
        let converted = side(&self.converted);
        let drop = |from: &Side, to: &Side| Some(from.figures.primary()? - to.figures.primary()?);
        let native_drop = drop(&self.native_original, &self.converted);
        let torch = self.torch.as_ref();
        let accuracy_drop = drop(self.baseline(), &self.converted);
        let mut record = json!({
            "model_name": self.model,
            "dataset_name": self.dataset,
            "quantization_bits": self.bits,
            "pytorch_baseline": torch.map(side),
            "native_original": side(&self.native_original),
            "mlx_8bit": converted,
            "mlx_quantized": converted,
            "accuracy_drop": accuracy_drop,
            "speedup": self.speedup,
            "quality_gates": self.gates_json(),
            "comparison_metrics": {
                "accuracy_drop": accuracy_drop,
                "accuracy_drop_pct": accuracy_drop.map(|drop| drop * 100.0),
                "speedup": self.speedup,
                "size_reduction_mb": self.native_original.figures.size_mb - self.converted.figures.size_mb,
                "compression_ratio": self.native_original.figures.size_mb / self.converted.figures.size_mb,
                "torch_to_native_original_drop": torch.and_then(|torch| drop(torch, &self.native_original)),
                "native_original_to_converted_drop": native_drop,
                "torch_to_converted_drop": torch.and_then(|torch| drop(torch, &self.converted)),
            },
            "judgement": self.judgement,
            "verdict": self.verdict().words(),
            "verdict_compares": self.compares(),
            "record_version": 1,
            "timestamp": self.timestamp,
        });
        if let (Some(record), Some(why)) = (record.as_object_mut(), &self.torch_missing) {
            record.insert("pytorch_baseline_reason".to_owned(), why.as_str().into());
        }
        if let Some(record) = record.as_object_mut() {
            record.extend(self.details.clone());
        }
        record
    }

    fn side(&self, Side { info, figures }: &Side) -> Value {
        let percentile_ms = |p| percentile(&figures.latencies_ms, p);
        let count = figures.latencies_ms.len();
        let mut missing = Map::new();
        for (key, p) in
            [("latency_p50_ms", 0.5), ("latency_p95_ms", 0.95), ("latency_p99_ms", 0.99)]
        {
            let fewest = fewest_for_quantile(p);
            if count < fewest {
                missing.insert(key.to_owned(), format!("{count} queries, needs {fewest}").into());
            }
        }
        let mut side = json!({
            "accuracy": figures.primary(),
            "qpm": figures.qpm,
            "size_mb": figures.size_mb,
            "tokens_per_sec": figures.tokens_per_second.map(|rates| rates.0),
            "memory_avg_mb": figures.memory_mb.map(|memory| memory.0),
            "memory_peak_mb": figures.memory_mb.map(|memory| memory.1),
            "latency_p50_ms": percentile_ms(0.5),
            "latency_p95_ms": percentile_ms(0.95),
            "latency_p99_ms": percentile_ms(0.99),
            "inference_time": figures.measured_seconds,
            "sample_size": self.sample_size,
            "predictions": figures.predictions,
            "references": self.references,
            "padded_tokens_per_sec": figures.tokens_per_second.map(|rates| rates.1),
            "memory_anonymous_mb": figures.memory_split_mb.map(|split| split.0),
            "memory_file_mb": figures.memory_split_mb.map(|split| split.1),
            "size_bytes": figures.size_bytes,
            "weights_bytes": figures.weights_bytes,
            "load_seconds": figures.load_seconds.0,
            "start_seconds": figures.load_seconds.1,
            "first_query_ms": figures.first_query_ms,
            "warmup_queries": figures.warmup_queries,
            "measured_seconds": figures.measured_seconds,
            "scenario": "single-stream",
            "timing_source": if figures.cached { "cached" } else { "this run" },
            "threads": info.threads,
            "engine": info,
            "blocks_qpm": figures.blocks_qpm,
            "latencies_ms": figures.latencies_ms,
            "missing": missing,
        });
        if let Some(side) = side.as_object_mut() {
            // The original's readers take the primary figure from `accuracy`, whatever it is.
            side.extend(
                figures.scores.iter().map(|(m, value)| (m.name().to_owned(), json!(value))),
            );
        }
        side
    }

    fn gates_json(&self) -> Value {
        let mut all = Map::new();
        for gate in &self.gates {
            // The original's booleans judge the figure alone; a gate nobody set does not fail.
            let passed = gate.point_passed || gate.verdict == Verdict::NotSet;
            all.insert(format!("{}_passed", gate.name), passed.into());
            all.insert(
                gate.name.to_owned(),
                json!({
                    "passed": gate.verdict == Verdict::Pass,
                    "verdict": gate.verdict.words(),
                    "value": gate.value,
                    "threshold": gate.threshold,
                    "description": gate.description,
                }),
            );
        }
        all.insert("all_passed".to_owned(), (self.verdict() == Verdict::Pass).into());
        all.insert("rule".to_owned(), "a gate passes when its one-sided 95 % bound does".into());
        Value::Object(all)
    }
}
