//! What can go wrong in finding a checkpoint.

use std::path::PathBuf;

/// An error of this crate; every variant names the place.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// There is no such folder.
    #[error("`{path}`: there is no such folder", path = .path.display())]
    NoFolder {
        /// The path named.
        path: PathBuf,
    },
    /// Not a repository name.
    #[error(
        "`{name}` is not a Hub name: expected `owner/name` of letters, digits, `.`, `_` and `-`"
    )]
    BadName {
        /// The name given.
        name: String,
    },
    /// The Hub's cache does not hold the repository.
    #[error(
        "`{name}` is not in the Hub cache{cache}; this version downloads nothing: fetch the model with another tool and give its folder as `path`",
        cache = .cache.as_ref().map(|path| format!(" `{}`", path.display())).unwrap_or_default()
    )]
    NotCached {
        /// The repository.
        name: String,
        /// The cache looked in.
        cache: Option<PathBuf>,
    },
    /// A data set of the Hub is not on this machine.
    #[error(
        "the data set `{name}` is not on this machine ({}), and this version cannot fetch it; put its \
         repository's files into `MIRROR/{name}` with another tool and name the folder MIRROR with \
         `mirror` or MLXQ_DATASET_MIRROR, or give files of your own with `provider: local`",
        places(.looked)
    )]
    NoDataset {
        /// The data set.
        name: String,
        /// The folders looked in.
        looked: Vec<PathBuf>,
    },
    /// A data set's repository has no files of a split.
    #[error(
        "`{}`: there are no Parquet or JSON lines files of the split `{split}` in {}",
        .root.display(), .folders.join(", ")
    )]
    NoSplit {
        /// The split.
        split: String,
        /// The repository's folder.
        root: PathBuf,
        /// The folders under it looked in.
        folders: Vec<String>,
    },
    /// Some of a split's files are missing.
    #[error("`{}`: files are missing or too many; there are {}", .folder.display(), .names.join(", "))]
    Shards {
        /// Their folder.
        folder: PathBuf,
        /// Those that are there.
        names: Vec<String>,
    },
    /// A file cannot be read.
    #[error("`{path}`: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}

fn places(looked: &[PathBuf]) -> String {
    match looked {
        [] => "there is no mirror and no cache of the Hub".to_owned(),
        _ => {
            let looked: Vec<_> =
                looked.iter().map(|path| format!("`{}`", path.display())).collect();
            format!("looked in {}", looked.join(", "))
        }
    }
}
