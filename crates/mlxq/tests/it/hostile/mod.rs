//! Files that lie, each given to the real program under limits of memory, time and file size.
//!
//! Items are those of the project's list of bad inputs, by section and letter. Every case must end
//! with exit code 3 and one error that names the place, and leave nothing behind.

mod config;
mod container;
mod header;
mod index;
mod pickle;
mod quantized;
mod storages;
mod weights;

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Done, Work, fixture};

/// An input, and what the error must say.
struct Case {
    /// Its item, with what is wrong.
    item: &'static str,
    /// Files of the model's folder beside or instead of those of the tiny model.
    files: Vec<(&'static str, Vec<u8>)>,
    words: Vec<&'static str>,
}

/// The weight file of the cases in PyTorch's format.
const TORCH: &str = "pytorch_model.bin";
const SAFETENSORS: &str = "model.safetensors";

impl Case {
    /// A case of one file; the error names the file.
    fn new(
        item: &'static str,
        file: &'static str,
        bytes: impl Into<Vec<u8>>,
        words: &[&'static str],
    ) -> Self {
        let words = [&[file], words].concat();
        Self { item, files: vec![(file, bytes.into())], words }
    }

    /// The same with another file beside.
    fn with(mut self, file: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((file, bytes.into()));
        self
    }

    /// The error need not name the tensor `a`.
    fn without_name(mut self) -> Self {
        self.words.retain(|word| *word != "`a`");
        self
    }

    /// Runs the program on a folder that has the configuration of the tiny model and the files; what
    /// is wrong with its answer.
    fn fault(&self) -> Option<String> {
        let work = Work::new();
        let config = std::fs::read(fixture("tiny-bert-embed").join("config.json"));
        work.write("model/config.json", config.expect("a fixture"));
        for (name, bytes) in &self.files {
            work.write(&format!("model/{name}"), bytes);
        }
        fault(&work, self.item, &self.words)
    }
}

/// Runs all `cases` and shows every one whose answer is wrong.
fn check_all(cases: Vec<Case>) {
    let faults: Vec<String> = cases.iter().filter_map(Case::fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Runs a conversion in `work` that must fail with all `words`.
fn refused(work: &Work, item: &str, words: &[&str]) {
    if let Some(fault) = fault(work, item, words) {
        panic!("{fault}");
    }
}

/// What is wrong with the answer to a conversion in `work`, which must fail with all `words`.
fn fault(work: &Work, item: &str, words: &[&str]) -> Option<String> {
    let before = tree(work.0.path());
    let done = limited(work);
    let Done { code, stdout, stderr } = &done;
    let is_control = |text: &str| text.chars().any(|c| c.is_control() && c != '\n');
    let missing = words.iter().find(|word| !stderr.contains(**word));
    let fault = if *code != 3 {
        "expected exit code 3".to_owned()
    } else if !stderr.starts_with("error:") || stderr.lines().count() != 1 {
        "expected one line, an error".to_owned()
    } else if let Some(word) = missing {
        format!("`{word}` is missing")
    } else if is_control(stderr) || stderr.len() > 4096 {
        "the error is long or has control characters".to_owned()
    } else if tree(work.0.path()) != before {
        "something was left behind".to_owned()
    } else {
        return None;
    };
    Some(format!("{item}: {fault}: exit {code}: {stdout}{stderr}"))
}

/// `mlxq convert model out` with 2 GiB of address space, 20 s of processor time and files of 100 MB at
/// most; without them where there is no such shell.
fn limited(work: &Work) -> Done {
    const LIMITS: &str = "ulimit -v 2097152; ulimit -t 20; ulimit -f 200000; exec \"$0\" \"$@\"";
    let program = env!("CARGO_BIN_EXE_mlxq");
    let mut command = if cfg!(target_os = "linux") {
        let mut shell = Command::new("sh");
        shell.args(["-c", LIMITS, program]);
        shell
    } else {
        Command::new(program)
    };
    let output = command
        .args(["--quiet", "convert", "--hf-path", "model", "--mlx-path", "out"])
        .current_dir(work.0.path())
        .env("MLX_TEMP_DIR", work.0.path())
        .env("RAYON_NUM_THREADS", "2")
        .output()
        .expect("the program ends");
    Done {
        code: output.status.code().unwrap_or_else(|| panic!("{}", output.status)),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Every path under `dir` with its size.
fn tree(dir: &Path) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("an entry");
        if metadata.is_dir() {
            all.extend(tree(&path));
        }
        let size = if metadata.is_file() { metadata.len() } else { 0 };
        all.push((path.display().to_string(), size));
    }
    all.sort();
    all
}

/// The tiny model's configuration with `change`.
fn config(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut config = crate::json(&fixture("tiny-bert-embed").join("config.json"));
    change(&mut config);
    config.to_string().into_bytes()
}
