//! The lock file: what the data sets held when they were first used.
//!
//! `mlxq-data.lock` lies beside the first configuration file and belongs under version control with it.
//! An entry is written once; where a later run reads other bytes, the run says so, and the entry stays
//! until someone deletes it.

use std::collections::BTreeMap;
use std::path::Path;

use mlxq_eval::data::HashedFile;
use serde::{Deserialize, Serialize};

use crate::PipelineError;
use crate::record::write_json;

const VERSION: u32 = 1;
/// The largest lock file, in bytes.
const FILE_LIMIT: u64 = 16 << 20;

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lock {
    version: u32,
    /// By key.
    datasets: BTreeMap<String, Locked>,
}

/// One data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    /// BLAKE3 of the content of all files.
    blake3: String,
    /// File, relative to the lock file where it can be → its BLAKE3.
    files: BTreeMap<String, String>,
}

/// Why nothing was compared or kept.
#[derive(Debug)]
pub(super) enum LockError {
    /// The lock file is there and cannot be understood.
    Unusable(PipelineError),
    /// It cannot be written.
    NotKept(PipelineError),
}

/// Holds the data set `key` against the lock file at `path`: what has changed, in words. A data set that
/// is not locked yet is now.
pub(super) fn check(
    path: &Path,
    key: &str,
    hash: &str,
    files: &[HashedFile],
) -> Result<Option<String>, LockError> {
    let mut lock = read(path).map_err(LockError::Unusable)?;
    let found = Locked {
        blake3: hash.to_owned(),
        files: files.iter().map(|file| (name(path, &file.path), file.blake3.clone())).collect(),
    };
    if let Some(locked) = lock.datasets.get(key) {
        return Ok((locked.blake3 != found.blake3).then(|| change(path, key, locked, &found)));
    }
    lock.datasets.insert(key.to_owned(), found);
    let value = serde_json::to_value(lock).expect("texts and numbers are JSON");
    write_json(path, &value).map(|()| None).map_err(LockError::NotKept)
}

fn read(path: &Path) -> Result<Lock, PipelineError> {
    let refuse =
        |reason: String| PipelineError::Config { file: path.to_owned(), line: None, reason };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Lock { version: VERSION, datasets: BTreeMap::new() });
        }
        Err(error) => return Err(refuse(error.to_string())),
    };
    if !metadata.is_file() || metadata.len() > FILE_LIMIT {
        return Err(refuse("is no regular file of at most 16 MiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refuse(error.to_string()))?;
    let lock: Lock = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
    match lock.version {
        VERSION => Ok(lock),
        other => Err(refuse(format!("is of version {other}, this mlxq knows {VERSION}"))),
    }
}

/// How the lock file at `lock` calls the file at `path`.
fn name(lock: &Path, path: &Path) -> String {
    let folder = lock.parent().filter(|folder| !folder.as_os_str().is_empty());
    let relative = folder.and_then(|folder| path.strip_prefix(folder).ok()).unwrap_or(path);
    relative.to_string_lossy().into_owned()
}

fn change(path: &Path, key: &str, locked: &Locked, found: &Locked) -> String {
    let start = |hash: &str| hash.chars().take(12).collect::<String>();
    let other = found.files.iter().filter(|(name, hash)| locked.files.get(*name) != Some(hash));
    let mut files: Vec<String> = other
        .map(|(name, hash)| match locked.files.get(name) {
            Some(before) => {
                let (before, now) = (start(before), start(hash));
                format!("`{}` was {before}, is {now}", name.escape_debug())
            }
            None => format!("`{}` is new", name.escape_debug()),
        })
        .collect();
    let gone = locked.files.keys().filter(|name| !found.files.contains_key(*name));
    files.extend(gone.map(|name| format!("`{}` is not read any more", name.escape_debug())));
    format!(
        "data set `{}` has other bytes than `{}` says ({}): figures do not compare with earlier ones. \
         Delete its entry there if that is meant",
        key.escape_debug(),
        path.display(),
        files.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &Path, hash: &str) -> HashedFile {
        HashedFile { path: path.to_owned(), blake3: hash.to_owned() }
    }

    #[test]
    fn the_first_bytes_are_kept_and_others_are_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mlxq-data.lock");
        let (a, b) = (folder.path().join("a.tsv"), folder.path().join("b.tsv"));
        let check = |key: &str, hash: &str, files: &[HashedFile]| {
            check(&path, key, hash, files).expect("a lock")
        };
        assert_eq!(check("k", "1", &[file(&a, "1")]), None);
        assert_eq!(check("l", "2", &[file(&b, "2")]), None);
        assert_eq!(check("k", "1", &[file(&a, "1")]), None);
        for _ in 0..2 {
            let change = check("k", "9", &[file(&a, "9"), file(&b, "2")]).expect("a change");
            for word in ["`k`", "`a.tsv` was 1, is 9", "`b.tsv` is new", "mlxq-data.lock"] {
                assert!(change.contains(word), "{word}: {change}");
            }
        }
        let text = std::fs::read_to_string(&path).expect("a lock");
        assert!(text.contains("\"a.tsv\": \"1\""), "{text}");
    }

    #[test]
    fn a_lock_file_that_is_none_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mlxq-data.lock");
        for text in ["", "{}", "{\"version\": 2, \"datasets\": {}}", "[]"] {
            std::fs::write(&path, text).expect("a file");
            assert!(matches!(check(&path, "k", "1", &[]), Err(LockError::Unusable(_))), "{text}");
            assert_eq!(std::fs::read_to_string(&path).expect("a file"), text);
        }
        // A folder that is not there cannot be written into where a file stands.
        let blocked = path.join("x/mlxq-data.lock");
        assert!(check(&blocked, "k", "1", &[]).is_err());
    }
}
