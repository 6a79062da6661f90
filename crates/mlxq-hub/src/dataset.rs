//! Where the files of the Hub's data sets lie on this machine.

use std::path::{Path, PathBuf};

use crate::{HubError, is_repository, snapshot};

/// Endings of data files, in the order in which they are preferred.
const ENDINGS: [&str; 4] = [".parquet", ".jsonl", ".jsonl.gz", ".jsonl.zst"];

/// The folder of the data set `name`: `MIRROR/owner/name`, which holds the files of its repository, or its
/// main snapshot in the Hub's `cache` (or in a mirror that is such a cache).
///
/// # Errors
/// When it is no repository's name, or in neither.
pub fn dataset_folder(
    name: &str,
    mirror: Option<&Path>,
    cache: Option<&Path>,
) -> Result<PathBuf, HubError> {
    if !is_repository(name) {
        return Err(HubError::BadName { name: name.to_owned() });
    }
    let plain = mirror.map(|mirror| mirror.join(name)).filter(|folder| folder.is_dir());
    let cached = || {
        let caches = [mirror, cache].into_iter().flatten();
        caches.into_iter().find_map(|cache| snapshot(cache, "datasets", name, "main"))
    };
    plain.or_else(cached).ok_or_else(|| HubError::NoDataset {
        name: name.to_owned(),
        looked: [mirror, cache].into_iter().flatten().map(Path::to_owned).collect(),
    })
}

/// The files of `split` in a data set's repository at `root`, in order. In each of `folders` under it they
/// are `SPLIT-00000-of-00002.parquet` and so on, `SPLIT.parquet`, or all that is in the folder `SPLIT`;
/// JSON lines, packed or not, are found where there is no Parquet. The first folder that has some counts.
///
/// # Errors
/// When there are none, or one of several is missing.
pub fn split_files(root: &Path, folders: &[&str], split: &str) -> Result<Vec<PathBuf>, HubError> {
    for folder in folders {
        let folder = root.join(folder);
        let names = names_in(&folder)?;
        for ending in ENDINGS {
            let mut shards: Vec<Shard> =
                names.iter().filter_map(|name| Shard::parse(name, split, ending)).collect();
            shards.sort();
            if !shards.is_empty() {
                return check(shards, &folder);
            }
            let inner = folder.join(split);
            let mut files: Vec<PathBuf> = names_in(&inner)?
                .into_iter()
                .filter(|name| name.ends_with(ending))
                .map(|name| inner.join(name))
                .collect();
            files.sort();
            if !files.is_empty() {
                return Ok(files);
            }
        }
    }
    let folders = folders.iter().map(|folder| (*folder).to_owned()).collect();
    Err(HubError::NoSplit { split: split.to_owned(), root: root.to_owned(), folders })
}

/// A file of a split.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shard<'n> {
    /// Its number and how many there are; `None` for one that is all.
    number: Option<(usize, usize)>,
    name: &'n str,
}

impl<'n> Shard<'n> {
    fn parse(name: &'n str, split: &str, ending: &str) -> Option<Self> {
        let rest = name.strip_suffix(ending)?.strip_prefix(split)?;
        if rest.is_empty() {
            return Some(Self { number: None, name });
        }
        let (number, all) = rest.strip_prefix('-')?.split_once("-of-")?;
        // The Hub's own conversions add a hash to the count.
        let all = all.split('-').next()?;
        Some(Self { number: Some((number.parse().ok()?, all.parse().ok()?)), name })
    }
}

fn check(shards: Vec<Shard>, folder: &Path) -> Result<Vec<PathBuf>, HubError> {
    let complete = match shards.first().and_then(|shard| shard.number) {
        None => shards.len() == 1,
        Some((_, all)) => {
            let expected = (0..all).map(|number| Some((number, all)));
            shards.iter().map(|shard| shard.number).eq(expected)
        }
    };
    if !complete {
        let names = shards.iter().map(|shard| shard.name.to_owned()).collect();
        return Err(HubError::Shards { folder: folder.to_owned(), names });
    }
    Ok(shards.iter().map(|shard| folder.join(shard.name)).collect())
}

/// The names of the files in `folder`; none if there is no such folder.
fn names_in(folder: &Path) -> Result<Vec<String>, HubError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| HubError::Read { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let (true, Ok(name)) = (entry.path().is_file(), entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, "").expect("a file");
        }
        root
    }

    fn found(files: &[&str], folders: &[&str], split: &str) -> Result<Vec<String>, String> {
        let root = folder(files);
        let files = split_files(root.path(), folders, split).map_err(|error| error.to_string())?;
        let relative = |path: &PathBuf| {
            path.strip_prefix(root.path()).expect("below").to_string_lossy().replace("./", "")
        };
        Ok(files.iter().map(relative).collect())
    }

    #[test]
    fn splits_lie_where_the_hub_has_them() {
        let folders = &["mnli", "data", "."];
        for (files, split, expected) in [
            (
                &["mnli/train-00001-of-00002.parquet", "mnli/train-00000-of-00002.parquet"][..],
                "train",
                &["mnli/train-00000-of-00002.parquet", "mnli/train-00001-of-00002.parquet"][..],
            ),
            (
                &["mnli/test/0001.parquet", "mnli/test/0000.parquet"],
                "test",
                &["mnli/test/0000.parquet", "mnli/test/0001.parquet"],
            ),
            (
                &["data/test-00000-of-00001-0a1b2c.parquet"],
                "test",
                &["data/test-00000-of-00001-0a1b2c.parquet"],
            ),
            (&["test.jsonl", "test_extra.jsonl", "test.parquet"], "test", &["test.parquet"]),
            (&["test.jsonl.gz"], "test", &["test.jsonl.gz"]),
        ] {
            assert_eq!(found(files, folders, split).expect("files"), expected, "{files:?}");
        }
    }

    #[test]
    fn what_is_missing_is_said() {
        let missing = found(&["a/train-00000-of-00002.parquet"], &["a"], "train");
        assert!(
            missing.as_ref().is_err_and(|error| error.contains("00000-of-00002")),
            "{missing:?}"
        );
        let none = found(&["a/train.parquet"], &["a", "b"], "test");
        assert!(none.as_ref().is_err_and(|error| error.contains("`test`")), "{none:?}");
        // `train_extra` is no shard of `train`.
        assert!(found(&["a/train_extra.parquet"], &["a"], "train").is_err());
    }

    #[test]
    fn a_mirror_holds_repositories_or_is_a_cache() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let mirror = folder(&["own/set/x.jsonl", "datasets--own--other/snapshots/c/x"]);
        let cached = mirror.path().join("datasets--own--other");
        std::fs::create_dir_all(cached.join("refs")).expect("refs");
        std::fs::create_dir_all(cached.join("snapshots").join(commit)).expect("a snapshot");
        std::fs::write(cached.join("refs/main"), commit).expect("a ref");
        let find = |name: &str| dataset_folder(name, Some(mirror.path()), None);
        assert_eq!(find("own/set").ok(), Some(mirror.path().join("own/set")));
        assert_eq!(find("own/other").ok(), Some(cached.join("snapshots").join(commit)));
        assert!(matches!(find("own/none"), Err(HubError::NoDataset { .. })));
        assert!(matches!(find("../own/set"), Err(HubError::BadName { .. })));
    }
}
