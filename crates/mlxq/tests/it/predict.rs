//! `mlxq predict`.

use std::process::{Command, Stdio};

use crate::{Work, fixture, text};

const TEXTS: &str =
    "{\"text\": \"a cat\"}\n\n{\"text\": \"a dog\", \"text_pair\": \"no dog\", \"id\": 7}\n";

#[test]
fn a_classifier_gives_logits_and_labels() {
    let work = Work::new();
    let model = fixture("tiny-bert-classify");
    let done = work.mlxq_with(&["predict", text(&model), "--input", "-"], TEXTS).good();
    let rows: Vec<serde_json::Value> =
        done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows.len(), 2);
    let names = ["contradiction", "entailment", "neutral"];
    for row in rows {
        let logits: Vec<f64> =
            row["logits"].as_array().expect("a list").iter().filter_map(|x| x.as_f64()).collect();
        assert_eq!(logits.len(), 3);
        let best = (0..3).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("three");
        assert_eq!(row["label"], names[best]);
    }
}

#[test]
fn batches_and_threads_do_not_change_a_bit() {
    let work = Work::new();
    let model = fixture("tiny-bert-embed");
    let input = work.write("in.jsonl", TEXTS.repeat(5));
    let run = |more: &[&str]| {
        let arguments = [&["predict", text(&model), "--input", text(&input)], more].concat();
        work.mlxq(&arguments).good().stdout
    };
    let one = run(&["--batch-size", "1", "--threads", "1"]);
    assert_eq!(one.lines().count(), 10);
    assert_eq!(one, run(&["--batch-size", "7", "--threads", "2"]));
}

#[test]
fn a_bad_line_is_named_and_no_file_appears() {
    let work = Work::new();
    let model = fixture("tiny-bert-embed");
    for (bad, word) in [
        ("{\"text\": 1}", "string"),
        ("not json", "expected"),
        ("{\"txt\": \"a\"}", "`text`"),
        ("\u{0}", "expected"),
    ] {
        let stdin = format!("{TEXTS}{bad}\n");
        let arguments = ["predict", text(&model), "--input", "-", "--output", "out.jsonl"];
        work.mlxq_with(&arguments, &stdin).refused(3, &["input line 4", word]);
        assert!(work.names().is_empty(), "{:?}", work.names());
    }
}

#[test]
fn an_output_file_is_written_whole() {
    let work = Work::new();
    let model = fixture("tiny-bert-embed");
    work.write("out.jsonl", "old");
    let arguments = ["predict", text(&model), "--input", "-", "--output", "out.jsonl"];
    let done = work.mlxq_with(&arguments, TEXTS).good();
    assert_eq!(done.stdout, "");
    let written = std::fs::read_to_string(work.path("out.jsonl")).expect("a file");
    assert_eq!(written.lines().count(), 2);
}

#[test]
fn rows_that_are_cut_are_counted() {
    let work = Work::new();
    let model = fixture("tiny-bert-embed");
    let long = format!("{{\"text\": \"{}\"}}\n", "cat ".repeat(50));
    let done = work.mlxq_with(&["predict", text(&model), "--input", "-"], &long).good();
    assert!(done.stderr.contains("1 of 1 rows were cut to 32 tokens"), "{}", done.stderr);
    let arguments = ["predict", text(&model), "--input", "-", "--max-length", "1000"];
    let done = work.mlxq_with(&arguments, &long).good();
    assert!(done.stderr.contains("40 tokens: config.json"), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn a_reader_that_has_enough_is_no_error() {
    let work = Work::new();
    let input = work.write("in.jsonl", TEXTS.repeat(500));
    let model = fixture("tiny-bert-embed");
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlxq"))
        .args(["predict", text(&model), "--input", text(&input), "--batch-size", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
