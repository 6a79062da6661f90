//! Which cells are measured already: each is keyed by the hash of all that it depends on.

use std::path::{Path, PathBuf};

use mlxq_eval::data::FileSpec;
use serde_json::json;

use super::cell::Torch;
use super::convert::target_of;
use super::test::TestSettings;
use crate::PipelineError;
use crate::config::{DatasetConfig, DatasetSource, ModelConfig};

/// The version of how cells are measured and judged; it grows with every change after which figures
/// could differ.
const STEP: &str = "cell-v1";

/// The key of `model`, whose original lies in `source`, on `dataset`: the contents of both folders and
/// of the data's files, what is asked of them, the engines and the machine.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn key(
    model: &ModelConfig,
    dataset: &DatasetConfig,
    source: &Path,
    torch: &Torch,
    settings: &TestSettings,
) -> Result<String, PipelineError> {
    let folder = |path: &Path| Ok::<_, PipelineError>(mlxq_hub::fingerprint(path)?.blake3);
    let (data, how) = match &dataset.source {
        DatasetSource::Local(spec) => (data_hash(spec)?, format!("{spec:?}")),
        DatasetSource::HuggingFace(name) => (String::new(), name.clone()),
    };
    let parts = json!([
        STEP,
        env!("CARGO_PKG_VERSION"),
        mlxq_hub::hash_bytes(mlxq_engine::torch::script().as_bytes()),
        folder(source)?,
        folder(&target_of(model, &settings.output_dir))?,
        data,
        how,
        dataset.key,
        dataset.max_length,
        model.name,
        format!("{:?}", model.task),
        format!("{:?}", model.recipe),
        format!("{:?}", model.gates),
        torch.as_ref().ok().map(|torch| &torch.versions),
        torch.as_ref().err(),
        settings.threads,
        settings.activations.to_string(),
        settings.max_samples,
        settings.scenario,
        settings.rounds,
        settings.block_seconds,
        settings.reuse_baseline,
        machine(),
    ]);
    Ok(mlxq_hub::hash_bytes(parts.to_string().as_bytes()))
}

/// The hashes of all files of a data set.
fn data_hash(spec: &FileSpec) -> Result<String, PipelineError> {
    let files = [&spec.path].into_iter().chain(&spec.further).chain(&spec.labels_path);
    let hash = |path: &PathBuf| Ok(mlxq_hub::hash_file(path)?);
    Ok(files.map(hash).collect::<Result<Vec<_>, PipelineError>>()?.join(" "))
}

/// What a machine's times depend on most: a record moved to another one is measured again.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {} {name} {cores}", std::env::consts::OS, std::env::consts::ARCH)
}
