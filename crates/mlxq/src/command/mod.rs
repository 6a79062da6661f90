//! One file per command: what was typed becomes a call of the library.

pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod inspect;
pub(crate) mod predict;
pub(crate) mod test;
pub(crate) mod worker;

use std::path::PathBuf;

use mlxq_pipeline::PipelineError;

use crate::exit::Failure;

/// The threads to compute with: those asked for, else one per core of the machine.
fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
}

/// Lets conversions compute with `asked` threads; else one per core of the machine.
fn limit_threads(asked: Option<usize>) -> anyhow::Result<()> {
    match asked {
        Some(threads) => Ok(rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?),
        None => Ok(()),
    }
}

/// `MLX_TEMP_DIR`, under which records lie.
fn temp_dir() -> Option<PathBuf> {
    std::env::var_os("MLX_TEMP_DIR").map(PathBuf::from)
}

/// The Hub's cache, by huggingface_hub's variables.
fn hub_cache() -> Option<PathBuf> {
    mlxq_pipeline::hub_cache(|name| std::env::var_os(name).map(PathBuf::from))
}

/// `MLXQ_DATASET_MIRROR`, a folder of the Hub's data sets; an empty value counts as none.
fn dataset_mirror() -> Option<PathBuf> {
    let mirror = std::env::var_os("MLXQ_DATASET_MIRROR").filter(|value| !value.is_empty());
    mirror.map(PathBuf::from)
}

/// A library error with its exit class.
fn pipeline_failure(error: PipelineError) -> Failure {
    Failure { class: error.exit_class(), error: error.into() }
}
