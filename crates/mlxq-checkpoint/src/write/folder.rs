//! A folder that appears only when it is complete, and that a killed attempt leaves to the next.
//!
//! Beside the folder to come, `NAME`, stands `.NAME.partial` with
//! - `lock`: locked by the process at work, with its number inside,
//! - `key`: what the attempt depends on; only its like goes on with it,
//! - `journal`: which blocks are written (see [`super::journal`]),
//! - `new`: the folder, `old`: an earlier one while it is being replaced.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::journal::Journal;
use crate::CheckpointError;

/// The file that marks a folder as one of ours; only such a folder is ever replaced.
pub(crate) const MARKER: &str = "conversion_metadata.json";

/// The folder to come, while it grows; it vanishes unless it is published or kept.
pub(crate) struct StagedFolder {
    root: PathBuf,
    folder: PathBuf,
    target: PathBuf,
    journal: Journal,
    keep: bool,
    /// Held until the end: dropping it unlocks.
    _lock: File,
}

impl StagedFolder {
    /// The staging folder beside `target`: an earlier attempt's of the same `key`, else a new one.
    /// An existing `target` is refused, unless `replace` is set and it is a folder that this program
    /// made.
    pub(crate) fn create(target: &Path, replace: bool, key: &str) -> Result<Self, CheckpointError> {
        check_target(target, replace)?;
        let root = partial(target)?;
        let lock = lock(&root)?;
        put_back(&root, target)?;
        // Another process may have ended its work between the first look and the lock.
        check_target(target, replace)?;
        let key_file = root.join("key");
        if std::fs::read(&key_file).ok().as_deref() != Some(key.as_bytes()) {
            clear(&root)?;
            std::fs::write(&key_file, key).map_err(CheckpointError::io(&key_file))?;
        }
        let folder = root.join("new");
        std::fs::create_dir_all(&folder).map_err(CheckpointError::io(&folder))?;
        let journal = Journal::open(&root.join("journal"))?;
        let target = target.to_owned();
        Ok(Self { root, folder, target, journal, keep: false, _lock: lock })
    }

    /// The staging folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// What an earlier attempt has written.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Leaves what is written to the next attempt.
    pub(crate) fn keep(mut self) {
        self.keep = true;
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
        self.swap()?;
        sync(parent(&self.target))
    }

    fn swap(&self) -> Result<(), CheckpointError> {
        let old = self.root.join("old");
        let replaces = self.target.symlink_metadata().is_ok();
        if replaces {
            std::fs::rename(&self.target, &old).map_err(CheckpointError::io(&self.target))?;
        }
        let Err(error) = std::fs::rename(&self.folder, &self.target) else {
            return Ok(());
        };
        put_back(&self.root, &self.target)?;
        Err(CheckpointError::io(&self.target)(error))
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        let lost = self.root.join("old").exists() && !self.target.exists();
        if !self.keep && !lost {
            // What cannot be removed is found, and removed or used, by the next attempt.
            let _ = discard(&self.root);
        }
    }
}

/// Ends what a killed process left half done at `target`: a replacement that was cut off is undone, and
/// what was only to be removed is removed. An attempt that can be continued stays, and so does one at
/// work.
///
/// # Errors
/// When the earlier folder cannot be put back or the rest not removed.
pub fn recover(target: &Path) -> Result<(), CheckpointError> {
    let root = partial(target)?;
    if !root.join("lock").is_file() {
        // An empty one was being removed; another's, which is full, this leaves alone.
        let _ = std::fs::remove_dir(&root);
        return Ok(());
    }
    let Ok(_lock) = lock(&root) else { return Ok(()) };
    put_back(&root, target)?;
    if root.join("new").exists() { Ok(()) } else { discard(&root) }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `.NAME.partial` beside `NAME`.
fn partial(target: &Path) -> Result<PathBuf, CheckpointError> {
    let Some(name) = target.file_name() else {
        return Err(refuse(target, "is no name for a folder"));
    };
    let mut partial = std::ffi::OsString::from(".");
    partial.push(name);
    partial.push(".partial");
    Ok(parent(target).join(partial))
}

fn refuse(path: &Path, reason: impl Into<String>) -> CheckpointError {
    CheckpointError::Output { path: path.to_owned(), reason: reason.into() }
}

fn check_target(target: &Path, replace: bool) -> Result<(), CheckpointError> {
    if target.symlink_metadata().is_err() {
        return Ok(());
    }
    match (replace, target.join(MARKER).is_file()) {
        (false, _) => Err(refuse(target, "exists already")),
        (true, true) => Ok(()),
        (true, false) => {
            Err(refuse(target, "exists and was not made by mlxq, so it is not replaced"))
        }
    }
}

/// Makes the folder `root` if there is none and locks it for this process.
fn lock(root: &Path) -> Result<File, CheckpointError> {
    let path = root.join("lock");
    // A process killed between its first steps, or its last, leaves an empty folder.
    let empty = || std::fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_none());
    if root.symlink_metadata().is_ok() && !path.is_file() && !empty() {
        return Err(refuse(root, "stands in the way and was not made by mlxq"));
    }
    std::fs::create_dir_all(root).map_err(CheckpointError::io(root))?;
    let open =
        || OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = open().map_err(CheckpointError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            return Err(refuse(root, format!("is in use by process {}", holder.trim())));
        }
        Err(TryLockError::Error(error)) => return Err(CheckpointError::io(&path)(error)),
    }
    let number = std::process::id().to_string();
    let written = file.set_len(0).and_then(|()| file.write_all(number.as_bytes()));
    written.map_err(CheckpointError::io(&path))?;
    Ok(file)
}

/// Puts an earlier target back that was moved away when its replacement was cut off.
fn put_back(root: &Path, target: &Path) -> Result<(), CheckpointError> {
    let old = root.join("old");
    if old.symlink_metadata().is_err() {
        return Ok(());
    }
    if target.symlink_metadata().is_ok() {
        return remove(&old);
    }
    std::fs::rename(&old, target).map_err(|error| {
        refuse(target, format!("{error}; its earlier content is kept in `{}`", old.display()))
    })
}

/// Removes a staging folder, its lock last: without it, the rest would be taken for another's.
fn discard(root: &Path) -> Result<(), CheckpointError> {
    clear(root)?;
    std::fs::remove_dir_all(root).map_err(CheckpointError::io(root))
}

/// Removes everything but the lock.
fn clear(root: &Path) -> Result<(), CheckpointError> {
    for entry in std::fs::read_dir(root).map_err(CheckpointError::io(root))? {
        let path = entry.map_err(CheckpointError::io(root))?.path();
        if path.file_name().is_some_and(|name| name != "lock") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), CheckpointError> {
    let removed = match path.symlink_metadata() {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        _ => std::fs::remove_file(path),
    };
    removed.map_err(CheckpointError::io(path))
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
        let staged = StagedFolder::create(&target, false, "key").expect("staged");
        staged.write("sub/file", b"1").expect("written");
        assert!(!target.exists());
        drop(staged);
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
        let staged = StagedFolder::create(&target, false, "key").expect("staged");
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
        assert!(StagedFolder::create(&target, false, "key").is_err());
        assert!(StagedFolder::create(&target, true, "key").is_err());
        std::fs::write(target.join(MARKER), "{}").expect("written");
        let staged = StagedFolder::create(&target, true, "key").expect("staged");
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
        let staged = StagedFolder::create(&target, true, "key").expect("staged");
        // Without the new folder, the second rename fails after the first has moved the old one.
        std::fs::remove_dir(staged.path()).expect("removed");
        assert!(staged.swap().is_err());
        drop(staged);
        assert_eq!(std::fs::read(target.join(MARKER)).expect("kept"), b"old");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
    }

    #[test]
    fn leftovers_of_others_are_no_obstacle() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        std::fs::create_dir_all(dir.path().join(".model.old/x")).expect("made");
        for content in ["1", "2"] {
            let staged = StagedFolder::create(&target, true, "key").expect("staged");
            staged.write(MARKER, content.as_bytes()).expect("written");
            staged.publish().expect("published");
        }
        assert_eq!(std::fs::read(target.join(MARKER)).expect("read"), b"2");
    }

    #[test]
    fn an_attempt_is_continued_by_its_like_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        let attempt = |key| StagedFolder::create(&target, false, key).expect("staged");
        let first = attempt("a");
        first.write("file", b"1").expect("written");
        first.journal().note(7, 77).expect("noted");
        assert!(StagedFolder::create(&target, false, "a").is_err(), "one process at a time");
        first.keep();
        let second = attempt("a");
        assert!(second.path().join("file").exists());
        assert_eq!(second.journal().noted(7), Some(77));
        second.keep();
        let third = attempt("b");
        assert!(!third.path().join("file").exists());
        assert_eq!(third.journal().noted(7), None);
    }

    #[test]
    fn a_replacement_cut_off_half_way_is_undone() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        std::fs::create_dir_all(dir.path().join(".model.partial/old")).expect("made");
        std::fs::write(dir.path().join(".model.partial/lock"), "").expect("written");
        std::fs::write(dir.path().join(".model.partial/old").join(MARKER), "old").expect("written");
        drop(StagedFolder::create(&target, true, "key").expect("staged"));
        assert_eq!(std::fs::read(target.join(MARKER)).expect("put back"), b"old");
    }

    #[test]
    fn what_a_killed_process_was_removing_goes() {
        let dir = tempfile::tempdir().expect("a folder");
        let target = dir.path().join("model");
        std::fs::create_dir_all(target.join("x")).expect("made");
        let partial = dir.path().join(".model.partial");
        for leftover in [&["old/x", "lock"][..], &["lock"], &[]] {
            std::fs::create_dir_all(&partial).expect("made");
            leftover.iter().for_each(|name| {
                let path = partial.join(name);
                std::fs::create_dir_all(super::parent(&path)).expect("made");
                std::fs::write(path, "").expect("written");
            });
            recover(&target).expect("recovered");
            assert!(target.join("x").exists() && !partial.exists(), "{leftover:?}");
        }
        std::fs::create_dir_all(&partial).expect("made");
        std::fs::remove_dir_all(&target).expect("removed");
        drop(StagedFolder::create(&target, false, "key").expect("an empty one is no obstacle"));
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
    }

    #[test]
    fn what_others_made_is_not_touched() {
        let dir = tempfile::tempdir().expect("a folder");
        let precious = dir.path().join(".model.partial/precious");
        std::fs::create_dir_all(&precious).expect("made");
        assert!(StagedFolder::create(&dir.path().join("model"), true, "key").is_err());
        assert!(precious.exists());
    }
}
