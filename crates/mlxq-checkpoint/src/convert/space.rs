//! Whether the disk has room for a folder, asked before it is written.

use std::path::Path;

use crate::CheckpointError;

/// Refuses when the file system of `dir` has less room than `needed` bytes, those that stand in `dir`
/// already counted in.
pub(super) fn check(dir: &Path, needed: u64) -> Result<(), CheckpointError> {
    // A file system that does not say how much room it has may still have enough.
    let Ok(free) = fs4::available_space(dir) else { return Ok(()) };
    let written = allocated(dir)?;
    if free.saturating_add(written) >= needed {
        return Ok(());
    }
    let reason = format!("needs {needed} bytes, its disk has {free} free");
    Err(CheckpointError::Output { path: dir.to_owned(), reason })
}

/// The bytes that files at the top of `dir` take on the disk.
fn allocated(dir: &Path) -> Result<u64, CheckpointError> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir).map_err(CheckpointError::io(dir))? {
        let path = entry.map_err(CheckpointError::io(dir))?.path();
        sum += on_disk(&std::fs::metadata(&path).map_err(CheckpointError::io(&path))?);
    }
    Ok(sum)
}

#[cfg(unix)]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn on_disk(metadata: &std::fs::Metadata) -> u64 {
    metadata.len()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_no_disk_holds_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(super::check(dir.path(), 1).is_ok());
        let error = super::check(dir.path(), u64::MAX).expect_err("too much").to_string();
        assert!(error.contains("needs 18446744073709551615 bytes"), "{error}");
    }
}
