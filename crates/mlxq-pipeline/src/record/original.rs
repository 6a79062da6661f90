//! The original pipeline's comparison file, with its exact names and keys, made from a cell's report.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cell::{CellReport, Outcome, SideReport};

/// The first hundred answers of every side and what is right: scores or label ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FirstAnswers {
    /// What is right.
    pub(crate) references: Vec<Value>,
    /// PyTorch's answers.
    pub(crate) torch: Option<Vec<Value>>,
    /// Those of the original in the native engine.
    pub(crate) native_original: Option<Vec<Value>>,
    /// Those of the converted model in the baseline's place.
    #[serde(default)]
    pub(crate) itself: Option<Vec<Value>>,
    /// The converted model's.
    pub(crate) converted: Vec<Value>,
}

/// The file's content; `details` are further keys.
pub(crate) fn comparison(
    cell: &CellReport,
    first: &FirstAnswers,
    details: &Map<String, Value>,
) -> Value {
    let sides = &cell.sides;
    let side = |report: &SideReport, predictions: &[Value]| {
        side(report, cell.sample_size, predictions, &first.references)
    };
    let both = |report: &Option<SideReport>, predictions: &Option<Vec<Value>>| {
        Some(side(report.as_ref()?, predictions.as_ref()?))
    };
    let converted = side(&sides.converted, &first.converted);
    let mut record = json!({
        "model_name": cell.model,
        "dataset_name": cell.dataset_key,
        "quantization_bits": cell.quantization.bits,
        "pytorch_baseline": both(&sides.torch, &first.torch),
        "native_original": both(&sides.native_original, &first.native_original),
        "mlx_8bit": converted,
        "mlx_quantized": converted,
        "accuracy_drop": cell.drop(),
        "speedup": cell.speedup,
        "quality_gates": gates(cell),
        "comparison_metrics": metrics(cell),
        "judgement": cell.judgement,
        "verdict": cell.verdict,
        "verdict_compares": cell.verdict_compares,
        "record_version": 1,
        "cell_id": cell.id,
        "measured": cell.measured,
        "measured_by": cell.measured_by,
        "timestamp": cell.timestamp,
    });
    if let Some(record) = record.as_object_mut() {
        if let Some(why) = &cell.torch_missing {
            record.insert("pytorch_baseline_reason".to_owned(), why.as_str().into());
        }
        if let Some(itself) = both(&sides.itself, &first.itself) {
            record.insert("mlx_8bit_itself".to_owned(), itself);
        }
        record.extend(details.clone());
    }
    record
}

fn metrics(cell: &CellReport) -> Value {
    let sides = &cell.sides;
    let drop = |from: &SideReport, to: &SideReport| Some(from.primary()? - to.primary()?);
    let converted = &sides.converted;
    let (torch, original) = (sides.torch.as_ref(), sides.native_original.as_ref());
    json!({
        "accuracy_drop": cell.drop(),
        "accuracy_drop_pct": cell.drop().map(|drop| drop * 100.0),
        "speedup": cell.speedup,
        "size_reduction_mb": original.map(|original| original.size_mb - converted.size_mb),
        "compression_ratio": original.map(|original| original.size_mb / converted.size_mb),
        "torch_to_native_original_drop": torch.zip(original).and_then(|(torch, original)| drop(torch, original)),
        "native_original_to_converted_drop": original.and_then(|original| drop(original, converted)),
        "torch_to_converted_drop": torch.and_then(|torch| drop(torch, converted)),
    })
}

fn side(
    report: &SideReport,
    sample_size: usize,
    predictions: &[Value],
    references: &[Value],
) -> Value {
    let mut side = json!({
        "accuracy": report.primary(),
        "qpm": report.qpm,
        "size_mb": report.size_mb,
        "tokens_per_sec": report.tokens_per_sec,
        "memory_avg_mb": report.memory_avg_mb,
        "memory_peak_mb": report.memory_peak_mb,
        "latency_p50_ms": report.latency_p50_ms,
        "latency_p95_ms": report.latency_p95_ms,
        "latency_p99_ms": report.latency_p99_ms,
        "inference_time": report.measured_seconds,
        "sample_size": sample_size,
        "predictions": predictions,
        "references": references,
        "padded_tokens_per_sec": report.padded_tokens_per_sec,
        "memory_anonymous_mb": report.memory_anonymous_mb,
        "memory_file_mb": report.memory_file_mb,
        "size_bytes": report.size_bytes,
        "weights_bytes": report.weights_bytes,
        "load_seconds": report.load_seconds,
        "start_seconds": report.start_seconds,
        "first_query_ms": report.first_query_ms,
        "warmup_queries": report.warmup_queries,
        "measured_seconds": report.measured_seconds,
        "timing_source": report.timing_source,
        "threads": report.engine.threads,
        "engine": report.engine,
        "blocks_qpm": report.blocks_qpm,
        "latencies_ms": report.latencies_ms,
        "missing": report.missing,
    });
    if let Some(side) = side.as_object_mut() {
        // The original's readers take the primary figure from `accuracy`, whatever it is.
        let scores = report.scores.iter();
        side.extend(scores.map(|figure| (figure.metric.clone(), json!(figure.value))));
        if let Value::Object(timing) = json!(report.timing) {
            side.extend(timing);
        }
    }
    side
}

fn gates(cell: &CellReport) -> Value {
    let mut all = Map::new();
    for gate in &cell.gates {
        // The original's booleans judge the figure alone; a gate nobody set does not fail.
        let passed = gate.point_passed || gate.verdict == Outcome::NotSet;
        all.insert(format!("{}_passed", gate.name), passed.into());
        all.insert(
            gate.name.clone(),
            json!({
                "passed": gate.verdict == Outcome::Pass,
                "verdict": gate.verdict,
                "value": gate.value,
                "threshold": gate.threshold,
                "description": gate.description,
            }),
        );
    }
    all.insert("all_passed".to_owned(), (cell.verdict == Outcome::Pass).into());
    all.insert("rule".to_owned(), "a gate passes when its one-sided 95 % bound does".into());
    Value::Object(all)
}
