//! Queries, latency, memory, size and start of a whole model against PyTorch.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{command, say, status};
use crate::{model, peers, places, quickstart};

/// Runs `mlxq run` with the peers' PyTorch on the quickstart's pairs, and prints what its record says.
///
/// # Errors
/// When the run fails or leaves no record.
pub(crate) fn run(rounds: Option<&str>) -> Result<ExitCode> {
    let root = places::root();
    let work = root.join("quickstart/work");
    model::ensure(&work.join("all-MiniLM-L6-v2"))?;
    let mlxq = quickstart::release_build()?;
    let records = work.join("bench");
    let code = status(
        command(mlxq, ["run", "--quiet"])
            .args(["--config", "quickstart/models.yaml", "--config", "quickstart/datasets.yaml"])
            .args(["--output-dir", "quickstart/work/mlx_converted"])
            .arg("--fresh")
            .args(["--block-pairs", rounds.unwrap_or("10")])
            .arg("--python")
            .arg(peers::python()?)
            .env("MLX_TEMP_DIR", &records)
            .current_dir(&root),
    )?;
    if !matches!(code.code(), Some(0 | 1 | 4)) {
        bail!("the run ended with {code}");
    }
    let record =
        records.join("mlx_conversion/comparisons/all-MiniLM-L6-v2_q8_pairs_comparison.json");
    let text = std::fs::read_to_string(&record).with_context(|| record.display().to_string())?;
    say(&ratios(&serde_json::from_str(&text)?)?);
    Ok(ExitCode::SUCCESS)
}

/// The ratios of a comparison record, in words.
fn ratios(record: &Value) -> Result<String> {
    let figure = |side: &str, key: &str| {
        let value = record[side][key].as_f64();
        value.with_context(|| format!("the record has no {side}.{key}"))
    };
    let interval = &record["speedup_interval_95"];
    let (low, high) = (interval[0].as_f64(), interval[1].as_f64());
    let (low, high) = low.zip(high).context("the record has no interval")?;
    let speedup = record["speedup"].as_f64().context("the record has no speedup")?;
    let load = figure("pytorch_baseline", "start_seconds")? / figure("mlx_8bit", "start_seconds")?;
    let ratio = |key: &str| -> Result<f64> {
        Ok(figure("mlx_8bit", key)? / figure("pytorch_baseline", key)?)
    };
    Ok(format!(
        "all-MiniLM-L6-v2, 8 bits, against PyTorch f32, one pair at a time, {} threads:\n\
         queries     {speedup:.3} x  (95 % interval {low:.3} to {high:.3})\n\
         latency p50 {:.3} x\n\
         memory peak {:.3} x\n\
         size        {:.3} x\n\
         start       {load:.1} times as fast",
        record["mlx_8bit"]["threads"],
        ratio("latency_p50_ms")?,
        ratio("memory_peak_mb")?,
        ratio("size_mb")?,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_record_without_a_speedup_is_refused() {
        let side = json!({"start_seconds": 4.0, "latency_p50_ms": 2.0, "memory_peak_mb": 8.0,
            "size_mb": 10.0, "threads": 2});
        let mut record = json!({"pytorch_baseline": side, "mlx_8bit": side, "speedup": 1.5,
            "speedup_interval_95": [1.4, 1.6]});
        let text = super::ratios(&record).expect("complete");
        assert!(text.contains("1.500 x  (95 % interval 1.400 to 1.600)"), "{text}");
        record["speedup"] = json!(null);
        assert!(super::ratios(&record).is_err());
    }
}
