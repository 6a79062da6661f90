//! The Python environment of the peers that the tests compare with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::places;
use crate::process::{command, run, say, succeeds};

/// The Python of an environment with everything in `peers/requirements.txt`, made with uv where it is
/// missing: `$MLXQ_PEERS_DIR`, else a folder of the cache that is keyed by the list.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn python() -> Result<PathBuf> {
    let list = places::root().join("peers/requirements.txt");
    let text = std::fs::read(&list).with_context(|| list.display().to_string())?;
    let folder = match std::env::var_os("MLXQ_PEERS_DIR").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => {
            let hash = Sha256::digest(&text);
            let key: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            places::cache()?.join(format!("peers-{key}"))
        }
    };
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.is_file() && python.exists() {
        return Ok(python);
    }
    say(&format!("making the peers' environment in {}", folder.display()));
    make(&folder, &[Path::new("-r"), &list])?;
    std::fs::write(&complete, &text)?;
    Ok(python)
}

/// Makes an environment in `folder` with `packages` in it.
///
/// # Errors
/// When uv cannot be had or a package cannot be installed.
pub(crate) fn make(folder: &Path, packages: &[&Path]) -> Result<()> {
    let uv = uv()?;
    run(command(&uv, ["venv", "--quiet", "--clear"]).arg(folder))?;
    run(command(&uv, ["pip", "install", "--quiet", "--python"])
        .arg(folder.join("bin/python"))
        .args(packages))
}

/// uv from the PATH, or installed with pip into an environment of its own in the cache.
fn uv() -> Result<PathBuf> {
    if succeeds(&mut command("uv", ["--version"])) {
        return Ok("uv".into());
    }
    let venv = places::cache()?.join("uv");
    let uv = venv.join("bin/uv");
    if !succeeds(&mut command(&uv, ["--version"])) {
        say("installing uv");
        run(command("python3", ["-m", "venv", "--clear"]).arg(&venv))
            .context("uv is not here, and python3 cannot make an environment for it")?;
        run(&mut command(
            venv.join("bin/python"),
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv"],
        ))?;
    }
    Ok(uv)
}
