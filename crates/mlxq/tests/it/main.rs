//! The program as its users run it: arguments in, files, streams and exit codes out.

mod bad_input;
mod convert;
mod data;
#[cfg(target_os = "linux")]
mod disk;
mod fidelity;
#[path = "../../../mlxq-checkpoint/tests/forge/mod.rs"]
mod forge;
mod hostile;
mod inspect;
mod itself;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod llama;
mod predict;
mod progress;
mod records;
mod run;
mod scenario;
mod tasks;
mod worker;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A folder of one test's own.
struct Work(TempDir);

/// What a command has done.
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Work {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// A copy of the fixture `name` that the test may spoil.
    fn copy(&self, name: &str) -> PathBuf {
        let target = self.path(name);
        copy_folder(&fixture(name), &target);
        target
    }

    /// Names of everything in the folder, sorted.
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// Runs the program in the folder.
    fn mlxq(&self, arguments: &[&str]) -> Done {
        self.mlxq_with(arguments, "")
    }

    /// Runs the program in the folder with something to read.
    fn mlxq_with(&self, arguments: &[&str], stdin: &str) -> Done {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mlxq"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("MLX_TEMP_DIR", self.0.path())
            .env_remove("MLXQ_PYTHON")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("a pipe");
        // A program that refuses its arguments does not read.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("the program ends");
        Done {
            code: output.status.code().expect("no signal"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Done {
    /// Ended well.
    fn good(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }

    /// Ended with `code` and one error that has all `words`.
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in: {}", self.stderr);
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a copy");
        }
    }
}

fn json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}
