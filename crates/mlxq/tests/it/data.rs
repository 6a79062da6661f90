//! Where rows come from: presets in a mirror of the Hub, samples, and the lock file of what was read.

use std::process::Command;

use serde_json::{Value, json};

use crate::{Done, Work, json};

const MODEL: &str = "\
models:
  - name: tiny
    path: tiny-bert-classify
    task: nli
    benchmarks: [mnli]
";

/// Six rows of inference, two of each class.
fn rows() -> String {
    let row = |at: usize| json!({"premise": format!("a {at}"), "hypothesis": format!("b {at}"), "label": at % 3});
    (0..6).map(|at| format!("{}\n", row(at))).collect()
}

fn run(work: &Work, more: &[&str]) -> Done {
    let arguments = ["run", "--config", "all.yaml", "--no-torch", "--block-seconds", "0.01"];
    work.mlxq(&[&arguments[..], more].concat())
}

fn dataset(work: &Work) -> Value {
    let record = json(&work.path("mlx_conversion/comparisons/tiny_q8_mnli_comparison.json"));
    record["dataset"].clone()
}

#[test]
fn a_preset_is_enough_where_a_mirror_has_its_files() {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    work.write("all.yaml", MODEL);
    let words = ["nyu-mll/multi_nli", "MLXQ_DATASET_MIRROR", "provider: local"];
    run(&work, &[]).refused(3, &words);
    work.write("hub/nyu-mll/multi_nli/data/validation_mismatched-00000-of-00001.jsonl", rows());
    work.write("all.yaml", format!("mirror: hub\n{MODEL}"));
    let done = run(&work, &["--max-samples", "3"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let dataset = dataset(&work);
    assert_eq!(dataset["labels"], json!(["entailment", "neutral", "contradiction"]));
    assert_eq!((&dataset["rows_in_file"], &dataset["rows_used"]), (&json!(6), &json!(3)));
    // One of each class: the sample has the shares of the file.
    let ids: Vec<u64> =
        dataset["row_ids"].as_array().expect("ids").iter().filter_map(Value::as_u64).collect();
    let mut classes: Vec<u64> = ids.iter().map(|id| id % 3).collect();
    classes.sort_unstable();
    assert_eq!(classes, [0, 1, 2], "{ids:?}");
}

#[test]
fn the_mirror_may_be_named_by_the_environment() {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    work.write("all.yaml", MODEL);
    let done = Command::new(env!("CARGO_BIN_EXE_mlxq"))
        .args(["run", "--config", "all.yaml", "--no-torch"])
        .current_dir(work.path(""))
        .env("MLX_TEMP_DIR", work.path(""))
        .env("MLXQ_DATASET_MIRROR", "elsewhere")
        .output()
        .expect("the program ends");
    let message = String::from_utf8_lossy(&done.stderr);
    assert!(message.contains("looked in `elsewhere`"), "{message}");
}

#[test]
fn a_benchmark_that_is_nothing_is_refused_before_any_work() {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    work.write("all.yaml", MODEL.replace("[mnli]", "[mnli, mnil]"));
    run(&work, &[]).refused(2, &["`mnil`", "did you mean `mnli`?"]);
    assert!(!work.path("models").exists());
}

#[test]
fn other_bytes_than_before_are_said() {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    let data = "datasets:\n  mnli:\n    provider: local\n    path: rows.jsonl\n    columns: {text: premise, \
                text_pair: hypothesis, label: label}\n    labels: [entailment, neutral, contradiction]\n";
    work.write("all.yaml", format!("{MODEL}{data}"));
    work.write("rows.jsonl", rows());
    let first = run(&work, &[]);
    assert_eq!(first.code, 4, "{}", first.stderr);
    let lock = json(&work.path("mlxq-data.lock"));
    let hash = dataset(&work)["blake3"].clone();
    assert_eq!(lock["datasets"]["mnli"]["blake3"], hash);
    assert_eq!(lock["datasets"]["mnli"]["files"]["rows.jsonl"], hash);

    work.write("rows.jsonl", rows().replace("a 0", "a zero"));
    let second = run(&work, &[]);
    assert_eq!(second.code, 4, "{}", second.stderr);
    for word in ["`mnli` has other bytes", "rows.jsonl", "mlxq-data.lock"] {
        assert!(second.stderr.contains(word), "{word}: {}", second.stderr);
    }
    run(&work, &["--strict"]).refused(3, &["`mnli` has other bytes"]);
    assert_eq!(json(&work.path("mlxq-data.lock")), lock);
    work.write("mlxq-data.lock", "no lock");
    run(&work, &[]).refused(2, &["mlxq-data.lock"]);
}
