//! Progress on a terminal, by way of `script`, which makes one.

use std::process::{Command, Stdio};

use crate::{Work, fixture, text};

const MODELS: &str = "models:
  - {name: first, path: tiny-bert-embed, task: semantic-similarity, quantization: {bits: 8}}
  - {name: second, path: tiny-bert-embed, task: semantic-similarity, quantization: {bits: 4}}
";

/// What a terminal gets from a command line of the program in the folder; `None` without `script`.
fn on_a_terminal(work: &Work, command: &str) -> Option<String> {
    let line = format!("{} {command}", env!("CARGO_BIN_EXE_mlxq"));
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .current_dir(work.path("."))
        .env("MLX_TEMP_DIR", work.path("."))
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let shown = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{shown}");
    Some(shown)
}

#[cfg(target_os = "linux")]
#[test]
fn each_model_has_a_bar_and_messages_stand_above() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    work.write("models.yaml", MODELS);
    let command = "convert --config models.yaml --jobs 2";
    let Some(shown) = on_a_terminal(&work, command) else { return };
    for name in ["first", "second"] {
        let bar = format!("converting {name} [");
        assert!(shown.contains(&bar), "{bar}: {shown:?}");
        assert!(shown.contains(&format!("Starting conversion: {name}\r\n")), "{shown:?}");
    }
    assert!(shown.contains("KiB/307.25 KiB"), "{shown:?}");
    let of_a_sequence = |letter: char| letter == '[' || letter == ';' || letter.is_ascii_digit();
    let is_colour = |rest: &str| rest.trim_start_matches(of_a_sequence).starts_with('m');
    assert!(!shown.split('\u{1b}').skip(1).any(is_colour), "a colour: {shown:?}");
    // The last that is drawn is the summary, and no bar.
    let end = shown.rfind("CONVERSION SUMMARY").expect("a summary");
    assert!(!shown[end..].contains("converting"), "{shown:?}");
    let quiet = on_a_terminal(&work, &format!("-q {command} --no-skip")).expect("script");
    assert!(!quiet.contains("converting"), "{quiet:?}");
}

#[test]
fn what_is_no_terminal_gets_no_bars() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    let done = work.mlxq(&["convert", "--hf-path", text(&source), "--mlx-path", "out"]).good();
    assert!(!done.stderr.contains("converting"), "{}", done.stderr);
}
