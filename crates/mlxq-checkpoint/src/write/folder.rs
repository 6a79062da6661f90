//! A folder that appears only when it is complete.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::CheckpointError;

/// The file that marks a folder as one of ours; only such a folder is ever replaced.
pub(crate) const MARKER: &str = "conversion_metadata.json";

/// A temporary sibling of the folder to come; it vanishes unless it is published.
///
/// The new folder grows inside a private temporary one. So it gets the permissions of any new folder,
/// and whatever goes wrong, dropping the temporary one removes all that was written.
pub(crate) struct StagedFolder {
    temporary: TempDir,
    folder: PathBuf,
    target: PathBuf,
}

impl StagedFolder {
    /// A new, empty staging folder beside `target`. An existing `target` is refused, unless `replace`
    /// is set and it is a folder that this program made.
    pub(crate) fn create(target: &Path, replace: bool) -> Result<Self, CheckpointError> {
        let refuse = |reason: &str| {
            Err(CheckpointError::Output { path: target.to_owned(), reason: reason.to_owned() })
        };
        if target.symlink_metadata().is_ok() {
            if !replace {
                return refuse("exists already");
            }
            if !target.join(MARKER).is_file() {
                return refuse("exists and was not made by mlxq, so it is not replaced");
            }
        }
        let Some(name) = target.file_name().and_then(|name| name.to_str()) else {
            return refuse("is no name for a folder");
        };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        std::fs::create_dir_all(parent).map_err(CheckpointError::io(parent))?;
        let prefix = format!(".{name}.partial-");
        let temporary = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent);
        let temporary = temporary.map_err(CheckpointError::io(parent))?;
        let folder = temporary.path().join("new");
        std::fs::create_dir(&folder).map_err(CheckpointError::io(&folder))?;
        Ok(Self { temporary, folder, target: target.to_owned() })
    }

    /// The staging folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Writes a file of the staging folder and flushes it to the disk.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CheckpointError> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(CheckpointError::io(parent))?;
        }
        std::fs::write(&path, bytes).map_err(CheckpointError::io(&path))?;
        sync(&path)
    }

    /// Copies the file `from` to `name`, byte for byte.
    pub(crate) fn copy(&self, from: &Path, name: &str) -> Result<(), CheckpointError> {
        let bytes = std::fs::read(from).map_err(CheckpointError::io(from))?;
        self.write(name, &bytes)
    }

    /// Makes the staging folder the target, in one step where there was none. An earlier target is
    /// back in its place if that fails.
    pub(crate) fn publish(self) -> Result<(), CheckpointError> {
        sync_folders(&self.folder)?;
        let parent = self.temporary.path().parent().map(Path::to_owned);
        self.swap()?;
        parent.map_or(Ok(()), |parent| sync(&parent))
    }

    fn swap(self) -> Result<(), CheckpointError> {
        let old = self.temporary.path().join("old");
        let replaces = self.target.symlink_metadata().is_ok();
        if replaces {
            std::fs::rename(&self.target, &old).map_err(CheckpointError::io(&self.target))?;
        }
        let Err(error) = std::fs::rename(&self.folder, &self.target) else {
            return Ok(());
        };
        let failed = CheckpointError::io(&self.target)(error);
        if replaces {
            self.restore(&old)?;
        }
        Err(failed)
    }

    /// Puts the earlier target back; where even that fails, it stays in the temporary folder, which
    /// is then kept.
    fn restore(self, old: &Path) -> Result<(), CheckpointError> {
        std::fs::rename(old, &self.target).map_err(|error| {
            let kept = self.temporary.keep();
            CheckpointError::Output {
                path: self.target,
                reason: format!("{error}; its earlier content is kept in `{}`", kept.display()),
            }
        })
    }
}

/// Flushes the entries of `path` and of the folders in it.
fn sync_folders(path: &Path) -> Result<(), CheckpointError> {
    for entry in std::fs::read_dir(path).map_err(CheckpointError::io(path))? {
        let entry = entry.map_err(CheckpointError::io(path))?.path();
        if entry.is_dir() {
            sync_folders(&entry)?;
        }
    }
    sync(path)
}

fn sync(path: &Path) -> Result<(), CheckpointError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(CheckpointError::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_appears_before_the_end() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        let staged = StagedFolder::create(&target, false).expect("staged");
        staged.write("sub/file", b"1").expect("written");
        assert!(!target.exists());
        drop(staged);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
        let staged = StagedFolder::create(&target, false).expect("staged");
        staged.write(MARKER, b"{}").expect("written");
        staged.publish().expect("published");
        assert!(target.join(MARKER).is_file());
    }

    #[test]
    fn only_our_own_folders_are_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        std::fs::create_dir(&target).expect("made");
        std::fs::write(target.join("precious"), "1").expect("written");
        assert!(StagedFolder::create(&target, false).is_err());
        assert!(StagedFolder::create(&target, true).is_err());
        std::fs::write(target.join(MARKER), "{}").expect("written");
        let staged = StagedFolder::create(&target, true).expect("staged");
        staged.write(MARKER, b"new").expect("written");
        assert!(target.join("precious").exists());
        staged.publish().expect("published");
        assert!(!target.join("precious").exists());
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn a_failed_replacement_puts_the_old_folder_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        std::fs::create_dir(&target).expect("made");
        std::fs::write(target.join(MARKER), "old").expect("written");
        let staged = StagedFolder::create(&target, true).expect("staged");
        // Without the new folder, the second rename fails after the first has moved the old one.
        std::fs::remove_dir(staged.path()).expect("removed");
        assert!(staged.swap().is_err());
        assert_eq!(std::fs::read(target.join(MARKER)).expect("kept"), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn leftovers_of_others_are_no_obstacle() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        std::fs::create_dir_all(dir.path().join(".model.old/x")).expect("made");
        for content in ["1", "2"] {
            let staged = StagedFolder::create(&target, true).expect("staged");
            staged.write(MARKER, content.as_bytes()).expect("written");
            staged.publish().expect("published");
        }
        assert_eq!(std::fs::read(target.join(MARKER)).expect("read"), b"2");
    }
}
