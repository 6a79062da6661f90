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
    /// A file cannot be read.
    #[error("`{path}`: {source}", path = .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
}
