//! Read-only memory maps: the one place of this crate with `unsafe`.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::CheckpointError;

/// The bytes of a regular file.
#[derive(Debug)]
pub(super) struct FileMap(Option<Mmap>);

impl FileMap {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened or is no regular file.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let file = File::open(path).map_err(CheckpointError::io(path))?;
        let metadata = file.metadata().map_err(CheckpointError::io(path))?;
        if !metadata.is_file() {
            return Err(CheckpointError::file(path, "is no regular file"));
        }
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        // SAFETY: the map is read-only and private to this process, and is only ever read as bytes,
        // of which any value is valid. Another process that changes the file meanwhile can change
        // what is read, which every reader checks as untrusted input, or, by truncating it, end this
        // process with SIGBUS; no memory of ours can be damaged either way.
        let map = unsafe { Mmap::map(&file) }.map_err(CheckpointError::io(path))?;
        Ok(Self(Some(map)))
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
