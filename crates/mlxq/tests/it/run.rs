//! `mlxq test` and `mlxq run`, without PyTorch (with it: `peers/tests/test_run.py`).

use serde_json::{Value, json};

use crate::{Work, json};

const SIMILARITY: &str = "models:
  - name: tiny
    path: tiny-bert-embed
    task: semantic-similarity
    quantization: {bits: 8, max_accuracy_drop: 1.0}
    benchmarks: [pairs]
datasets:
  pairs:
    provider: local
    path: pairs.tsv
    columns: {text: 1, text_pair: 2, score: 0}
    preprocessing: {max_length: 1024}
";

const NLI: &str = "models:
  - name: tiny
    path: tiny-bert-classify
    task: nli
    quantization: {bits: 8, max_accuracy_drop: 0.5, target_size_mb: 1}
    benchmarks: [nli]
datasets:
  nli:
    provider: local
    path: nli.jsonl
    columns: {text: premise, text_pair: hypothesis, label: label}
";

const QUICK: [&str; 6] = ["--no-torch", "--threads", "1", "--block-pairs", "5", "--block-seconds"];

pub(crate) fn run(work: &Work, command: &str, more: &[&str]) -> crate::Done {
    work.mlxq(&[&[command, "--config", "all.yaml"], &QUICK[..], &["0.01"], more].concat())
}

pub(crate) fn similarity() -> Work {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    work.write("all.yaml", SIMILARITY);
    let texts =
        ["a cat walks", "the dog runs", "a red bird sings", "no water", "two men eat", "fire"];
    let rows: Vec<String> = (0..30)
        .map(|n| format!("{}\t{}\t{}\n", n % 6, texts[n % 6], texts[(n * n + n / 6) % 6]))
        .collect();
    work.write("pairs.tsv", rows.concat());
    work
}

#[test]
fn without_pytorch_the_reference_stands_in_and_speed_is_not_measured() {
    let work = similarity();
    let done = run(&work, "run", &[]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stdout.contains("NOT MEASURED  speed"), "{}", done.stdout);
    assert!(done.stderr.contains("40 tokens: config.json"), "{}", done.stderr);
    let record = json(&work.path("mlx_conversion/comparisons/tiny_q8_pairs_comparison.json"));
    assert_eq!(record["pytorch_baseline"], Value::Null);
    assert_eq!(record["verdict"], "not measured");
    assert_eq!(record["quality_gates"]["speed_passed"], json!(false));
    assert_eq!(record["quality_gates"]["size"]["verdict"], "not set");
    assert_eq!(record["mlx_8bit"]["sample_size"], 30);
    for side in ["native_original", "mlx_8bit"] {
        let missing = &record[side]["missing"];
        for key in ["accuracy", "qpm", "size_mb", "tokens_per_sec", "latency_p50_ms"] {
            assert!(record[side][key].is_f64() || missing.get(key).is_some(), "{side} {key}");
        }
    }
    assert_eq!(run(&work, "run", &["--strict"]).code, 1);
}

/// Whatever the converted model computes with, the verdict says it of both sides, and the reference stays
/// in float32.
#[test]
fn the_verdict_names_the_activations_of_both_sides() {
    let work = similarity();
    for (more, name) in [
        (&[][..], "with int16 activations"),
        (&["--activations", "8"], "with int8 activations"),
        (&["--activations", "32"], "in float32"),
    ] {
        let done = run(&work, "run", more);
        assert_eq!(done.code, 4, "{}", done.stderr);
        let compares = format!("mlxq {name} against mlxq in float32");
        assert!(done.stdout.contains(&format!("verdict: not measured, {compares}\n")));
        assert!(done.stderr.contains(&format!("on pairs ({compares})")), "{}", done.stderr);
        let record = json(&work.path("mlx_conversion/comparisons/tiny_q8_pairs_comparison.json"));
        assert_eq!(record["verdict_compares"], compares);
        let activations = |side: &str| {
            let settings = record[side]["engine"]["settings"].as_array().expect("a list");
            let found = settings.iter().find(|setting| setting[0] == "activations");
            found.expect("a setting")[1].as_str().expect("a text").to_owned()
        };
        assert_eq!(activations("native_original"), "float32");
        assert!(name.contains(&activations("mlx_8bit")), "{record}");
    }
    run(&work, "test", &["--activations", "4"]).refused(2, &["'4'", "32, 16, 8"]);
}

#[test]
fn only_run_converts() {
    let work = similarity();
    run(&work, "test", &[]).refused(3, &["MLX model not found at", "tiny-mlx-q8", "mlxq run"]);
    let results = json(&work.path("mlx_conversion/test_results/tiny_8bit_results.json"));
    assert_eq!(results["tiny"]["pairs"]["failed"], json!(true));
}

#[test]
fn a_dry_run_does_nothing() {
    let work = similarity();
    let before = work.names();
    let done = run(&work, "run", &["--dry-run"]).good();
    assert!(done.stderr.contains("would test tiny on pairs"), "{}", done.stderr);
    assert_eq!(work.names(), before);
}

/// The labels of the rows are what the model says, so its accuracy is 1; two rows are then changed.
#[test]
fn accuracy_follows_the_label_names_and_not_their_order() {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    work.write("all.yaml", NLI);
    let texts = ["a cat walks", "the dog runs", "a red bird sings", "no water", "two men eat"];
    let pairs = (0..25).map(|n| (texts[n % 5], texts[n / 5]));
    let requests: String =
        pairs.clone().map(|(a, b)| format!("{}\n", json!({"text": a, "text_pair": b}))).collect();
    let answers =
        work.mlxq_with(&["predict", "tiny-bert-classify", "--input", "-"], &requests).good();
    let mut rows = Vec::new();
    for (place, ((a, b), line)) in pairs.zip(answers.stdout.lines()).enumerate() {
        let answer: Value = serde_json::from_str(line).expect("JSON");
        let label = answer["label"].as_str().expect("a label").to_uppercase();
        let wrong = if label == "NEUTRAL" { "ENTAILMENT" } else { "NEUTRAL" };
        let label = if place < 2 { wrong } else { &label };
        rows.push(format!("{}\n", json!({"premise": a, "hypothesis": b, "label": label})));
    }
    work.write("nli.jsonl", rows.concat());
    let done = run(&work, "run", &[]);
    assert_eq!(done.code, 1, "{}", done.stderr);
    let record = json(&work.path("mlx_conversion/comparisons/tiny_q8_nli_comparison.json"));
    assert_eq!(record["native_original"]["accuracy"], json!(23.0 / 25.0));
    assert_eq!(record["quality_gates"]["size"]["verdict"], "fail");
    assert!(done.stdout.contains("FAIL  size"), "{}", done.stdout);
}

#[test]
fn a_selection_of_nothing_is_an_error() {
    let work = similarity();
    run(&work, "run", &["--model", "tinny"]).refused(2, &["'tinny' not found", "tiny"]);
    run(&work, "run", &["--dataset", "pair"]).refused(2, &["`pair` not found", "pairs"]);
    assert!(!work.path("mlx_conversion").exists());
}

/// Interrupted while it measures, a run ends soon, with its own exit code and without children.
#[cfg(unix)]
#[test]
fn an_interrupted_run_ends_with_130() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let work = similarity();
    run(&work, "run", &["--dry-run"]).good();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlxq"))
        .args(["run", "--config", "all.yaml", "--no-torch", "--block-seconds", "30"])
        .current_dir(work.path("."))
        .env("MLX_TEMP_DIR", work.path("."))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("Testing tiny") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("text"), 0, "the run ended by itself");
    }
    let begun = std::time::Instant::now();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    let status = child.wait().expect("the program ends");
    assert_eq!(status.code(), Some(130));
    assert!(begun.elapsed().as_secs() < 10, "it took {:?}", begun.elapsed());
    assert!(!work.path("mlx_conversion/comparisons").exists());
}
