//! `conversion_metadata.json`: what was done, to what, and how to recognise it.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{ConvertRequest, Converted, Task};
use crate::recipe::{Float, Recipe};
use crate::{Checkpoint, CheckpointError, json};

/// The program that writes.
const VERSION: &str = concat!("mlxq ", env!("CARGO_PKG_VERSION"));

impl ConvertRequest<'_> {
    /// The settings that decide what the folder holds, the program's version among them. Two
    /// conversions of one source with equal settings are equal.
    pub fn settings(&self) -> Value {
        let task = match &self.task {
            Task::Dequantize { float } => {
                json!({"dequantize": true, "dtype": float.map(Float::name)})
            }
            Task::Quantize(Recipe { format, float, mixed, overrides }) => json!({
                "mode": format.mode(),
                "bits": format.bits(),
                "group_size": format.group_size(),
                "dtype": float.map(Float::name),
                "quant_predicate": mixed.map(|mixed| mixed.to_string()),
                "overrides": overrides.iter().map(|own| own.text()).collect::<Vec<_>>(),
            }),
        };
        json!({
            "version": VERSION,
            "task": task,
            "allow_non_finite": self.allow_non_finite,
            "max_shard_bytes": self.max_shard_bytes,
            "base_model": self.base_model,
        })
    }
}

/// Size and time of change of every file that decides what a source holds: as long as they stay,
/// nothing has changed.
///
/// # Errors
/// When a file cannot be looked at.
pub fn source_stamp(source: &Checkpoint) -> Result<Value, CheckpointError> {
    let dir = source.dir();
    let mut paths: Vec<_> = source.weight_files()?.into_iter().map(|(path, _)| path).collect();
    let beside = ["config.json", "generation_config.json", "README.md", "1_Pooling/config.json"];
    paths.extend(beside.iter().map(|name| dir.join(name)).filter(|path| path.is_file()));
    let stamp = |path: &std::path::PathBuf| {
        let metadata = std::fs::metadata(path).map_err(CheckpointError::io(path))?;
        let modified = metadata.modified().map_err(CheckpointError::io(path))?;
        let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let name = path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned();
        let stamp = json!([metadata.len(), since.as_secs(), since.subsec_nanos()]);
        Ok::<_, CheckpointError>((name, stamp))
    };
    paths.iter().map(stamp).collect::<Result<Map<_, _>, _>>().map(Value::Object)
}

/// What an attempt depends on: one that was killed is continued only by its like.
pub(super) fn attempt_key(request: &ConvertRequest) -> Result<String, CheckpointError> {
    let dir = request.checkpoint.dir();
    let real = dir.canonicalize().map_err(CheckpointError::io(dir))?;
    let stamp = source_stamp(request.checkpoint)?;
    Ok(json!([real.to_string_lossy(), request.settings(), stamp]).to_string())
}

/// The metadata of the conversion at `dir`, whatever state the folder is in; `None` when there are none.
pub fn conversion_at(dir: &Path) -> Option<Map<String, Value>> {
    json::read_object(&dir.join(crate::write::MARKER)).ok()
}

/// The metadata of the conversion at `dir`, if there is a complete one: every file it lists is there
/// and has its size.
///
/// # Errors
/// When `dir` exists and is no complete conversion, with the reason.
pub fn already_converted(dir: &Path) -> Result<Option<Map<String, Value>>, CheckpointError> {
    if dir.symlink_metadata().is_err() {
        return Ok(None);
    }
    let incomplete = |reason: String| CheckpointError::Output { path: dir.to_owned(), reason };
    let marker = dir.join(crate::write::MARKER);
    if !marker.is_file() {
        return Err(incomplete("exists, but holds no `conversion_metadata.json`".to_owned()));
    }
    let metadata = json::read_object(&marker)?;
    let files = metadata.get("files").and_then(Value::as_object);
    let files = files.ok_or_else(|| incomplete("its metadata list no files".to_owned()))?;
    for (name, size) in files {
        let found = std::fs::metadata(dir.join(name)).map(|metadata| metadata.len()).ok();
        if found != size.as_u64() {
            let found = found.map_or("nothing".to_owned(), |bytes| format!("{bytes} bytes"));
            return Err(incomplete(format!("`{name}` has {found}, its metadata say {size} bytes")));
        }
    }
    Ok(Some(metadata))
}

/// Every file under `dir` with its size, but for the metadata.
pub(super) fn sizes(dir: &Path) -> Result<Map<String, Value>, CheckpointError> {
    fn walk(
        dir: &Path,
        prefix: &str,
        sizes: &mut Map<String, Value>,
    ) -> Result<(), CheckpointError> {
        for entry in std::fs::read_dir(dir).map_err(CheckpointError::io(dir))? {
            let path = entry.map_err(CheckpointError::io(dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, &format!("{prefix}{name}/"), sizes)?;
            } else {
                let bytes = std::fs::metadata(&path).map_err(CheckpointError::io(&path))?.len();
                sizes.insert(format!("{prefix}{name}"), bytes.into());
            }
        }
        Ok(())
    }
    let mut all = Map::new();
    walk(dir, "", &mut all)?;
    // An attempt that was killed at its end leaves one, which is going to be written again.
    all.remove(crate::write::MARKER);
    all.sort_keys();
    Ok(all)
}

/// Adds to the caller's metadata what the conversion found out; keys of `quantization` are merged.
///
/// # Errors
/// When the source cannot be looked at.
pub(super) fn complete(
    converted: &mut Converted,
    request: &ConvertRequest,
    files: Map<String, Value>,
) -> Result<(), CheckpointError> {
    let size_mb = converted.folder_bytes as f64 / (1 << 20) as f64;
    let mut known = std::mem::take(&mut converted.metadata);
    let mut quantization = match known.remove("quantization") {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let target = quantization.get("target_size_mb").and_then(Value::as_f64);
    quantization.extend(quantization_metadata(converted, size_mb));
    known.insert("quantization".to_owned(), Value::Object(quantization));
    let ratio = target.map(|target| size_mb / target);
    for (key, value) in [
        ("size_accuracy_ratio", json!(ratio)),
        ("size_target_ratio", json!(ratio)),
        ("size_bytes", json!(converted.folder_bytes)),
        ("conversion_time_seconds", json!(converted.seconds)),
        ("flush_seconds", json!(converted.flush_seconds)),
        ("converter_version", json!(VERSION)),
        ("settings", request.settings()),
        ("source_stamp", source_stamp(request.checkpoint)?),
        ("non_finite", json!(converted.non_finite)),
        ("dropped", pairs(converted.dropped.iter().map(|(name, why)| (name.as_str(), *why)))),
        ("unknown", json!(converted.unknown)),
        ("files", Value::Object(files)),
    ] {
        known.insert(key.to_owned(), value);
    }
    converted.metadata = known;
    Ok(())
}

fn quantization_metadata(converted: &Converted, size_mb: f64) -> Map<String, Value> {
    let plan = &converted.plan;
    let original_bytes = plan.source_bytes() as f64;
    let mut known = Map::new();
    for (key, value) in [
        ("bits", json!(plan.format.map(|format| format.bits()))),
        ("group_size", json!(plan.format.map(|format| format.group_size()))),
        ("mode", json!(plan.format.map(|format| format.mode()))),
        ("float_dtype", json!(plan.float().map(Float::name))),
        ("actual_size_mb", json!(size_mb)),
        ("original_size_mb", json!(original_bytes / (1 << 20) as f64)),
        ("compression_ratio", json!(original_bytes / plan.tensor_bytes() as f64)),
        ("bits_per_weight", json!(plan.bits_per_weight())),
        ("excluded_layers", pairs(plan.kept())),
    ] {
        known.insert(key.to_owned(), value);
    }
    known
}

fn pairs<'p>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Value {
    pairs.map(|(name, reason)| json!({"name": name, "reason": reason})).collect()
}
