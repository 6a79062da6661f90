//! Conversions to a disk that is full, or becomes so.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::llama::{self, Running, content, same};
use crate::{Done, Work, text};

/// A small file system of the test's own, gone when it ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and a word about it, where this process may not mount.
    fn mount(at: PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&at);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        skipped("no file system may be mounted here");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn skipped(why: &str) {
    eprintln!("not tested: {why}");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
    entries.map(name).map(|name| name.to_string_lossy().into_owned()).collect()
}

/// Expects one error on one line that has `words`.
fn one_error(done: &Done, words: &[&str]) {
    done.refused(3, words);
    assert_eq!(done.stderr.trim().lines().count(), 1, "{}", done.stderr);
}

const CONVERT: [&str; 5] = ["convert", "--quiet", "--hf-path", "source", "--mlx-path"];

#[test]
fn too_small_a_disk_is_refused_before_anything_is_written() {
    let work = Work::new();
    llama::write(&work, "source");
    let Some(disk) = SmallDisk::mount(work.path("disk"), "4m") else { return };
    let done = work.mlxq(&[&CONVERT[..], &["disk/out"]].concat());
    one_error(&done, &["disk/", "needs 1", "free"]);
    assert!(names(&disk.0).is_empty(), "{:?}", names(&disk.0));
}

#[test]
fn a_disk_that_fills_up_leaves_one_error_and_the_older_folder() {
    let work = Work::new();
    llama::write(&work, "source");
    let Some(disk) = SmallDisk::mount(work.path("disk"), "24m") else { return };
    work.mlxq(&[&CONVERT[..], &["disk/out", "--q-bits", "4"]].concat()).good();
    let old = content(&work.path("disk/out"));
    let arguments = [&CONVERT[..], &["disk/out", "--no-skip", "--threads", "1"]].concat();
    let mut running = Running::start(&work, &arguments);
    assert!(running.has_noted(&work.path("disk/.out.partial/journal"), 3));
    running.signal("STOP");
    // It fails, when nothing is left.
    let _ = std::fs::write(work.path("disk/other"), vec![1; 24 << 20]);
    running.signal("CONT");
    one_error(&running.end(), &["disk/", "os error 28"]);
    let mut left = names(&disk.0);
    left.sort();
    assert_eq!(left, ["other", "out"]);
    same(&content(&work.path("disk/out")), &old);
}

#[test]
fn files_that_may_not_grow_leave_one_error_and_the_older_folder() {
    let work = Work::new();
    llama::write(&work, "source");
    work.mlxq(&[&CONVERT[..], &["out", "--q-bits", "4"]].concat()).good();
    let old = content(&work.path("out"));
    // The limit is counted in blocks of 512 or 1024 bytes, by the shell. It ends a process with a
    // signal, unless that is ignored, as by Python and by jobs of batch systems.
    let limited = "trap '' XFSZ; ulimit -f 4000; exec \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limited, "sh", env!("CARGO_BIN_EXE_mlxq")])
        .args(CONVERT)
        .args([text(&work.path("out")), "--no-skip"])
        .current_dir(work.0.path())
        .output()
        .expect("a shell");
    let done = Done {
        code: output.status.code().expect("no signal"),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).expect("text"),
    };
    one_error(&done, &["model.safetensors", "os error 27"]);
    assert_eq!(work.names(), ["out", "source"]);
    same(&content(&work.path("out")), &old);
}
