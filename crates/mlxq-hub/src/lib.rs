//! Where checkpoints come from: a folder, or the Hub's local cache.
//!
//! Everything resolves to a local folder and a content identity. This crate reads no tensors.
//! Downloads do not exist yet: a Hub name is found only if another tool has fetched it.

mod error;
mod fingerprint;

use std::path::{Path, PathBuf};

pub use error::HubError;
pub use fingerprint::{Fingerprint, fingerprint, hash_bytes, hash_file};

/// What the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A folder on this machine.
    Folder(PathBuf),
    /// A Hub repository, `owner/name`.
    Hub(String),
}

/// The Hub cache's folder, by the variables that huggingface_hub reads, given by `variable`:
/// `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME` or `HOME/.cache` with `huggingface/hub`.
pub fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.as_os_str().is_empty());
    let home = || {
        let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
        set("HF_HOME").or_else(|| cache.map(|cache| cache.join("huggingface")))
    };
    set("HF_HUB_CACHE").or_else(|| home().map(|home| home.join("hub")))
}

/// The local folder that holds `source`; Hub names are looked up in `cache`.
///
/// # Errors
/// When there is no such folder, or the name is not in the cache.
pub fn resolve(source: &Source, cache: Option<&Path>) -> Result<PathBuf, HubError> {
    match source {
        Source::Folder(path) if path.is_dir() => Ok(path.clone()),
        Source::Folder(path) => Err(HubError::NoFolder { path: path.clone() }),
        Source::Hub(name) => cached(name, cache),
    }
}

/// The snapshot of `name`'s main revision: `models--owner--name/snapshots/<commit in refs/main>`.
fn cached(name: &str, cache: Option<&Path>) -> Result<PathBuf, HubError> {
    if !is_repository(name) {
        return Err(HubError::BadName { name: name.to_owned() });
    }
    let missing =
        || HubError::NotCached { name: name.to_owned(), cache: cache.map(Path::to_owned) };
    let folder = cache.ok_or_else(missing)?.join(format!("models--{}", name.replace('/', "--")));
    let commit = std::fs::read_to_string(folder.join("refs/main")).map_err(|_| missing())?;
    let commit = commit.trim();
    let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    let snapshot = folder.join("snapshots").join(commit);
    if is_commit && snapshot.is_dir() { Ok(snapshot) } else { Err(missing()) }
}

/// Whether `name` is a repository name by huggingface_hub's rule: at most one `/`, parts of up to 96
/// letters, digits, `.`, `_` and `-`, without `--` and `..`.
fn is_repository(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let part = |part: &str| !part.is_empty() && part.len() <= 96 && part.chars().all(allowed);
    let parts: Vec<_> = name.split('/').collect();
    parts.len() <= 2
        && parts.iter().all(|p| part(p))
        && !name.contains("--")
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let with = |pairs: &'static [(&str, &str)]| {
            cache_folder(|name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
            })
        };
        let all = &[("HF_HUB_CACHE", "/a"), ("HF_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(with(all), Some("/a".into()));
        assert_eq!(with(&[("HF_HUB_CACHE", ""), ("HF_HOME", "/b")]), Some("/b/hub".into()));
        assert_eq!(with(&[("HOME", "/c")]), Some("/c/.cache/huggingface/hub".into()));
        assert_eq!(with(&[]), None);
    }

    #[test]
    fn a_cached_name_resolves_to_its_snapshot() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = cache.path().join("models--org--name");
        std::fs::create_dir_all(folder.join("snapshots").join(COMMIT)).expect("a snapshot");
        std::fs::create_dir_all(folder.join("refs")).expect("refs");
        std::fs::write(folder.join("refs/main"), COMMIT).expect("a ref");
        let find = |name: &str| resolve(&Source::Hub(name.into()), Some(cache.path()));
        assert_eq!(find("org/name").ok(), Some(folder.join("snapshots").join(COMMIT)));
        assert!(matches!(find("org/other"), Err(HubError::NotCached { .. })));
        std::fs::write(folder.join("refs/main"), "../../../etc").expect("a ref");
        assert!(matches!(find("org/name"), Err(HubError::NotCached { .. })));
    }

    #[test]
    fn names_that_could_leave_the_cache_are_refused() {
        for name in ["../x", "a/b/c", "a--b/c", "", "/", "a/", "a b/c", "a\\b"] {
            let found = resolve(&Source::Hub(name.into()), Some(Path::new("/nowhere")));
            assert!(matches!(found, Err(HubError::BadName { .. })), "{name}");
        }
    }
}
