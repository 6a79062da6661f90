//! Which cells are measured already: each is keyed by the hash of all that it depends on.

use mlxq_engine::{torch, worker};
use serde_json::json;

use super::cell::{Inputs, Torch};
use super::test::TestSettings;
use crate::PipelineError;

/// The kind of step, and the version of what its key is made of.
const STEP: &str = "cell-v1";

/// The key of the cell `id`: the contents of both folders and of the data, the rows as engines get them,
/// what is asked of them, the engines, this program (the hash of its file, `program`) and the machine.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn key(
    id: &str,
    inputs: &Inputs,
    program: &str,
    torch: &Torch,
    settings: &TestSettings,
) -> Result<String, PipelineError> {
    let Inputs { model, task, material, metrics, rows, fingerprint, target, .. } = inputs;
    let (_, tokens) = worker::protocol::rows(&rows.batch);
    let parts = json!([
        STEP,
        program,
        mlxq_hub::hash_bytes(torch::script().as_bytes()),
        id,
        model.name,
        task.name(),
        metrics.iter().map(|metric| metric.name()).collect::<Vec<_>>(),
        format!("{:?}", model.recipe),
        format!("{:?}", model.gates),
        fingerprint,
        mlxq_hub::fingerprint(target)?.blake3,
        [
            Some(&material.data.hash),
            material.collection.as_ref().map(|collection| &collection.hash),
            material.threshold_rows.as_ref().map(|rows| &rows.hash),
        ],
        material.data.rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        material.data.labels,
        material.label_map,
        material.candidates,
        material.template,
        mlxq_hub::hash_bytes(&tokens),
        torch.as_ref().ok().map(|torch| &torch.versions),
        torch.as_ref().err(),
        settings.threads,
        settings.activations.to_string(),
        settings.scenario,
        settings.rounds,
        settings.block_seconds,
        settings.reuse_baseline,
        settings.against_itself,
        machine(),
    ]);
    Ok(mlxq_hub::hash_bytes(parts.to_string().as_bytes()))
}

/// What a machine's times depend on most: a record moved to another one is measured again.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {} {name} {cores}", std::env::consts::OS, std::env::consts::ARCH)
}
