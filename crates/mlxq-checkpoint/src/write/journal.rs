//! Which blocks of a conversion are written, so that a killed one goes on where it stood.
//!
//! A line for each block: its number and the CRC-32 of what was written. What the lines claim is
//! checked against the files before it is believed: after a power cut, a line may have reached the disk
//! and its block not.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::CheckpointError;

/// The journal of one attempt, open for more lines.
pub(crate) struct Journal {
    path: PathBuf,
    file: Mutex<File>,
    noted: HashMap<usize, u32>,
}

impl Journal {
    /// Opens the journal at `path`, which need not exist, and reads what an earlier attempt noted.
    pub(crate) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let text = match std::fs::read(path) {
            // What is no text was never written by us; nothing of it is believed.
            Ok(bytes) => String::from_utf8(bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(CheckpointError::io(path)(error)),
        };
        // A line without its end was being written when the process was killed: it goes.
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(CheckpointError::io(path))?;
        file.set_len(whole.len() as u64).map_err(CheckpointError::io(path))?;
        let noted = whole.lines().filter_map(entry).collect();
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), noted })
    }

    /// The checksum of a block that an earlier attempt has written.
    pub(crate) fn noted(&self, block: usize) -> Option<u32> {
        self.noted.get(&block).copied()
    }

    /// Notes that a block is written.
    pub(crate) fn note(&self, block: usize, checksum: u32) -> Result<(), CheckpointError> {
        let line = format!("{block} {checksum}\n");
        let mut file = self.file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        file.write_all(line.as_bytes()).map_err(CheckpointError::io(&self.path))
    }
}

fn entry(line: &str) -> Option<(usize, u32)> {
    let (block, checksum) = line.split_once(' ')?;
    Some((block.parse().ok()?, checksum.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_passed_over() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("journal");
        for (text, first, second) in [
            ("1 11\n2 22\n", Some(11), Some(22)),
            ("1 11\n2 2", Some(11), None),
            ("1 1", None, None),
            ("x\n1 11\n\n", Some(11), None),
        ] {
            std::fs::write(&path, text).expect("written");
            let journal = Journal::open(&path).expect("read");
            assert_eq!((journal.noted(1), journal.noted(2)), (first, second), "{text:?}");
            journal.note(3, 33).expect("noted");
            let again = Journal::open(&path).expect("read");
            assert_eq!((again.noted(1), again.noted(3)), (first, Some(33)), "{text:?}");
        }
    }
}
