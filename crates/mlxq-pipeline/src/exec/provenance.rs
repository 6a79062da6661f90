//! Where a comparison's figures come from: everything a reader needs to repeat it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::cell::Inputs;
use super::judge;
use super::measure::{ARRIVAL_SEED, Measured, Scenario};
use super::rows::EncodedRows;
use super::test::TestSettings;
use crate::PipelineError;
use crate::task::Material;

/// Data set, tokens, protocol, checkpoints and machine, as keys of the record.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn details(
    inputs: &Inputs,
    measured: &Measured,
    settings: &TestSettings,
) -> Result<Map<String, Value>, PipelineError> {
    let EncodedRows { rows_per_query, truncated, max_length, tokenizing, batch } = &inputs.rows;
    let tokenizing: Duration = tokenizing.iter().sum();
    let task = inputs.task;
    let (batch_size, rate) = match settings.scenario {
        Scenario::SingleStream => (None, None),
        Scenario::Offline { batch_size } => (Some(batch_size), None),
        Scenario::Server { rate } => (None, Some(rate)),
    };
    let details = json!({
        "task": task.name(),
        "primary_metric": inputs.metrics.first().map(|metric| metric.name()),
        "dataset": dataset(inputs)?,
        "tokens": {
            "rows_per_query": rows_per_query,
            "total": batch.tokens(),
            "truncated_rows": truncated,
            "max_length": max_length,
            "tokenizing_seconds": tokenizing.as_secs_f64(),
            "tokenizing": "by mlxq, its time added to both sides: all engines get the same ids",
        },
        "protocol": {
            "scenario": settings.scenario.name(),
            "batch_size": batch_size,
            "rate_per_second": rate,
            "arrival_seed": rate.map(|_| ARRIVAL_SEED),
            "rounds": settings.rounds,
            "block_seconds": settings.block_seconds,
            "order": "forwards and backwards in turn",
            "bootstrap_resamples": judge::RESAMPLES,
            "seed": judge::SEED,
        },
        "original": {"path": inputs.source, "blake3": inputs.fingerprint},
        "converted": {
            "path": inputs.target,
            "blake3": mlxq_hub::fingerprint(&inputs.target)?.blake3,
        },
        "environment": measured.environment,
        "timing_checks": measured.checks,
        "mlxq_version": env!("CARGO_PKG_VERSION"),
    });
    let mut details = match details {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let notes = task.rules().notes(&inputs.material)?;
    details.extend(notes.into_iter().map(|(key, note)| (key.to_owned(), note)));
    Ok(details)
}

/// Which rows they are: the files with their hashes, the rows used, what was left out.
///
/// # Errors
/// When a file cannot be read.
fn dataset(inputs: &Inputs) -> Result<Value, PipelineError> {
    let Material { data, collection, threshold_rows, label_map, .. } = &inputs.material;
    let files = collection.as_ref().map_or(&data.files, |all| &all.files);
    let first = files.first().map(|file| &file.path);
    let files: Vec<Value> =
        files.iter().map(|file| json!({"path": file.path, "blake3": file.blake3})).collect();
    let mut record = json!({
        "path": first,
        "sha256": first.map(|path| mlxq_hub::hash_file(path)).transpose()?,
        "blake3": collection.as_ref().map_or(&data.hash, |all| &all.hash),
        "files": files,
        "split": inputs.dataset.split,
        "rows_used": inputs.references.count(),
        "labels": data.labels,
        "label_map": label_map,
    });
    let more = match collection {
        Some(all) => json!({
            "documents": all.documents.len(),
            "rows_in_file": all.queries_in_file,
            "row_ids": all.queries.iter().map(|query| query.row).collect::<Vec<_>>(),
            "skipped": all.skipped,
        }),
        None => json!({
            "rows_in_file": data.rows_in_file,
            "row_ids": data.rows.iter().map(|row| row.id).collect::<Vec<_>>(),
            "skipped": data.skipped,
            "threshold_split": threshold_rows.as_ref().map(|rows| json!({
                "split": inputs.dataset.threshold_split,
                "blake3": rows.hash,
                "rows": rows.rows.len(),
            })),
        }),
    };
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    Ok(record)
}
