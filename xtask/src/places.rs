//! Where things lie: the checkout, the cache outside it, the material that only some machines have.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// `$MLXQ_CACHE_DIR`, else `$XDG_CACHE_HOME/mlxq`, else `~/.cache/mlxq`.
///
/// # Errors
/// When there is no home either.
pub(crate) fn cache() -> Result<PathBuf> {
    let variable =
        |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("MLXQ_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("mlxq")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/mlxq")))
        .context("neither MLXQ_CACHE_DIR nor HOME is set, so there is no place for downloads")
}

/// The developers' data sets and models, which users don't have: `$MLXQ_SHARED`, else `../shared`.
pub(crate) fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("MLXQ_SHARED").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| root().join("../shared"));
    let folder = folder.canonicalize().ok()?;
    folder.join("data/stsb/sts-dev.csv").is_file().then_some(folder)
}

/// Names of the developers' trained models, those that come with recorded figures; none where they are not.
pub(crate) fn shared_models() -> Vec<String> {
    let folder = shared().and_then(|shared| std::fs::read_dir(shared.join("models")).ok());
    let trained = folder.into_iter().flatten().flatten();
    let trained = trained.filter(|entry| entry.path().join("TRAINING.json").is_file());
    let mut names: Vec<String> =
        trained.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Where Cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(folder.unwrap_or_else(|| "target".into()))
}
