//! Which crate may depend on which: only down.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{command, output};

/// What each crate of ours may depend on; see the picture in `docs/design.md`.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("mlxq", &["mlxq-pipeline", "mlxq-engine"]),
    ("mlxq-pipeline", &["mlxq-engine", "mlxq-models", "mlxq-checkpoint", "mlxq-eval", "mlxq-hub"]),
    ("mlxq-engine", &["mlxq-models", "mlxq-checkpoint", "mlxq-kernels"]),
    ("mlxq-models", &["mlxq-checkpoint"]),
    ("mlxq-checkpoint", &["mlxq-kernels"]),
    ("mlxq-kernels", &[]),
    ("mlxq-eval", &[]),
    ("mlxq-hub", &[]),
    ("xtask", &[]),
];

/// The arrows that are not allowed.
///
/// # Errors
/// When cargo cannot tell.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let text = output(command(cargo, arguments).current_dir(root))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let names = packages.iter().filter_map(|package| package["name"].as_str());
    let ours: Vec<&str> = names.collect();
    let mut broken = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        let dependencies = dependencies.iter().filter_map(|dependency| dependency["name"].as_str());
        broken.extend(forbidden(name, dependencies.filter(|name| ours.contains(name))));
    }
    Ok(broken)
}

fn forbidden<'a>(name: &str, dependencies: impl Iterator<Item = &'a str>) -> Vec<String> {
    let Some((_, allowed)) = ALLOWED.iter().find(|(other, _)| *other == name) else {
        return vec![format!("crate {name}: has no place in the picture of the crates")];
    };
    dependencies
        .filter(|dependency| !allowed.contains(dependency))
        .map(|dependency| format!("crate {name}: must not depend on {dependency}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::forbidden;

    #[test]
    fn arrows_only_go_down() {
        assert!(forbidden("mlxq-models", ["mlxq-checkpoint"].into_iter()).is_empty());
        assert_eq!(forbidden("mlxq-eval", ["mlxq-engine"].into_iter()).len(), 1);
        assert_eq!(forbidden("mlxq-new", [].into_iter()).len(), 1);
    }
}
