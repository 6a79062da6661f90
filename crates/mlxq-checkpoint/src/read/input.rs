//! Bytes under a file's name, read by position: a file, or memory in tests and fuzzing.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Mapping;
use crate::CheckpointError;
use crate::positioned;

/// A length that a file states is believed by at most this much ahead of the bytes that were read.
const STEP: usize = 16 << 20;

/// What a reader reads from.
#[derive(Debug)]
pub(crate) struct Input {
    path: PathBuf,
    length: u64,
    bytes: Bytes,
}

#[derive(Debug)]
enum Bytes {
    File(File),
    Memory(Vec<u8>),
}

impl Input {
    /// Opens the regular file `path`.
    ///
    /// # Errors
    /// When it cannot be opened, or is a folder, a pipe or a device, which might block.
    pub(crate) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let metadata = std::fs::metadata(path).map_err(CheckpointError::io(path))?;
        if !metadata.is_file() {
            return Err(CheckpointError::file(path, "is no regular file"));
        }
        let file = File::open(path).map_err(CheckpointError::io(path))?;
        Ok(Self { path: path.to_owned(), length: metadata.len(), bytes: Bytes::File(file) })
    }

    /// `bytes` as if they stood in a file `name`.
    pub(crate) fn memory(name: &str, bytes: Vec<u8>) -> Self {
        Self { path: name.into(), length: bytes.len() as u64, bytes: Bytes::Memory(bytes) }
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Number of bytes when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The error of a rule that the file breaks.
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::file(&self.path, reason)
    }

    /// Fills `buffer` from byte `offset` on.
    ///
    /// # Errors
    /// When the bytes end before, or the system refuses.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), CheckpointError> {
        let done = match &self.bytes {
            Bytes::File(file) => positioned::read_at(file, buffer, offset),
            Bytes::Memory(bytes) => {
                let start = usize::try_from(offset).ok().and_then(|start| bytes.get(start..));
                match start.and_then(|rest| rest.get(..buffer.len())) {
                    Some(found) => {
                        buffer.copy_from_slice(found);
                        Ok(())
                    }
                    None => Err(io::ErrorKind::UnexpectedEof.into()),
                }
            }
        };
        done.map_err(CheckpointError::io(&self.path))
    }

    /// The bytes of `range`, mapped; `None` where they cannot be, which reading then explains.
    pub(crate) fn map(&self, range: Range<u64>) -> Option<Mapping> {
        match &self.bytes {
            Bytes::File(file) => Mapping::new(file, range).ok(),
            Bytes::Memory(_) => None,
        }
    }

    /// The bytes of `range`; memory grows only as they arrive.
    ///
    /// # Errors
    /// As [`Self::read_at`], and when there is no memory for them.
    pub(crate) fn read_range(&self, range: Range<u64>) -> Result<Vec<u8>, CheckpointError> {
        let mut bytes = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let step = (range.end - at).min(STEP as u64) as usize;
            let room = bytes.try_reserve_exact(step);
            room.map_err(|_| self.refuse("needs more memory than there is"))?;
            let known = bytes.len();
            bytes.resize(known + step, 0);
            self.read_at(&mut bytes[known..], at)?;
            at += step as u64;
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_beyond_the_end_are_errors() {
        let input = Input::memory("x", vec![1, 2, 3]);
        assert_eq!(input.read_range(1..3).expect("there"), [2, 3]);
        assert!(input.read_range(1..4).is_err());
        assert!(input.read_range(u64::MAX - 1..u64::MAX).is_err());
        assert!(Input::open(Path::new(".")).is_err());
    }
}
