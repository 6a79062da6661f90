//! Where checkpoints and data sets come from: a folder, or the Hub's local cache.
//!
//! Everything resolves to a local folder and a content identity. This crate reads no tensors.
//! Downloads do not exist yet: a Hub name is found only if another tool has fetched it.

mod dataset;
mod error;
mod fingerprint;
mod sha256;

use std::path::{Path, PathBuf};

pub use dataset::{dataset_folder, split_files};
pub use error::HubError;
pub use fingerprint::{Fingerprint, fingerprint};
pub use sha256::{hash_bytes, hash_file};

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

/// The local folder that holds `source`; Hub names are looked up in `cache`, at `revision` (a branch,
/// a tag or a commit) or at the main branch.
///
/// # Errors
/// When there is no such folder, or the name or revision is not in the cache.
pub fn resolve(
    source: &Source,
    revision: Option<&str>,
    cache: Option<&Path>,
) -> Result<PathBuf, HubError> {
    match source {
        Source::Folder(path) if path.is_dir() => Ok(path.clone()),
        Source::Folder(path) => Err(HubError::NoFolder { path: path.clone() }),
        Source::Hub(name) => cached(name, revision.unwrap_or("main"), cache),
    }
}

/// What the user calls `text`: a folder if there is one of that path, else a name on the Hub if it can
/// be one.
pub fn source(text: &Path) -> Source {
    match text.to_str().filter(|name| !text.exists() && is_repository(name) && name.contains('/')) {
        Some(name) => Source::Hub(name.to_owned()),
        None => Source::Folder(text.to_owned()),
    }
}

fn cached(name: &str, revision: &str, cache: Option<&Path>) -> Result<PathBuf, HubError> {
    if !is_repository(name) {
        return Err(HubError::BadName { name: name.to_owned() });
    }
    let found = cache.and_then(|cache| snapshot(cache, "models", name, revision));
    let cache = || cache.map(Path::to_owned);
    found.ok_or_else(|| HubError::NotCached { name: name.to_owned(), cache: cache() })
}

/// The snapshot of a revision of `name` in `cache`: `KIND--owner--name/snapshots/<commit>`, where the
/// commit is the revision itself or stands in `refs/<revision>`.
fn snapshot(cache: &Path, kind: &str, name: &str, revision: &str) -> Option<PathBuf> {
    let folder = cache.join(format!("{kind}--{}", name.replace('/', "--")));
    let safe = revision.split('/').all(|part| !matches!(part, "" | "." | "..") && is_plain(part));
    if !safe {
        return None;
    }
    let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let commit = match is_commit(revision) {
        true => revision.to_owned(),
        false => {
            let reference = std::fs::read_to_string(folder.join("refs").join(revision)).ok()?;
            reference.trim().to_owned()
        }
    };
    let snapshot = folder.join("snapshots").join(&commit);
    (is_commit(&commit) && snapshot.is_dir()).then_some(snapshot)
}

/// Whether `text` has only letters, digits, `.`, `_` and `-`.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Whether `name` is a repository name by huggingface_hub's rule: at most one `/`, parts of up to 96
/// letters, digits, `.`, `_` and `-`, without `--` and `..`.
fn is_repository(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.len() <= 96 && is_plain(part);
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
        let find = |name: &str| resolve(&Source::Hub(name.into()), None, Some(cache.path()));
        assert_eq!(find("org/name").ok(), Some(folder.join("snapshots").join(COMMIT)));
        assert!(matches!(find("org/other"), Err(HubError::NotCached { .. })));
        let at = |revision| {
            resolve(&Source::Hub("org/name".into()), Some(revision), Some(cache.path())).ok()
        };
        std::fs::create_dir_all(folder.join("refs/pr")).expect("refs");
        std::fs::write(folder.join("refs/pr/1"), COMMIT).expect("a ref");
        assert_eq!(at(COMMIT), find("org/name").ok());
        assert_eq!(at("pr/1"), find("org/name").ok());
        for revision in ["other", "../refs/main", "", "a//b", "0123456789"] {
            assert_eq!(at(revision), None, "{revision}");
        }
        std::fs::write(folder.join("refs/main"), "../../../etc").expect("a ref");
        assert!(matches!(find("org/name"), Err(HubError::NotCached { .. })));
    }

    #[test]
    fn names_that_could_leave_the_cache_are_refused() {
        for name in ["../x", "a/b/c", "a--b/c", "", "/", "a/", "a b/c", "a\\b"] {
            let found = resolve(&Source::Hub(name.into()), None, Some(Path::new("/nowhere")));
            assert!(matches!(found, Err(HubError::BadName { .. })), "{name}");
        }
    }
}
