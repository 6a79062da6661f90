//! `mlxq test --fidelity`: texts without labels, an original and what was made of it.

use serde_json::{Value, json};

use crate::{Done, Work, json};

fn work(model: &str, gates: &str) -> Work {
    let work = Work::new();
    work.copy(model);
    work.write(
        "all.yaml",
        format!(
            "models:\n  - name: tiny\n    path: {model}\n    task: text-classification\n    \
             quantization: {{bits: 8}}\n    gates: {{{gates}}}\n"
        ),
    );
    let words = ["a cat walks", "the dog runs", "a red bird sings", "no water", "two men eat"];
    let text = |row: usize| format!("{} {}", words[row % 5], words[row / 5 % 5]);
    let lines = (0..60).map(|row| {
        let pair = if row % 3 == 0 { json!(words[row / 12]) } else { Value::Null };
        format!("{}\n", json!({"text": text(row), "text_pair": pair}))
    });
    work.write("texts.jsonl", lines.collect::<String>());
    work
}

fn run(work: &Work, more: &[&str]) -> Done {
    let fixed = ["run", "--config", "all.yaml", "--no-torch", "--threads", "1", "--fidelity"];
    work.mlxq(&[&fixed[..], more].concat())
}

/// What the record says of the last comparison is what `predict` answers, by the formulas: the peer test
/// of the figures themselves is `peers/tests/test_evaluation.py`.
#[test]
fn a_classifier_is_compared_without_labels() {
    let work = work("tiny-bert-classify", "min_agreement: 0.5, max_kl: 0.5");
    let done = run(&work, &["texts.jsonl"]).good();
    assert!(done.stdout.contains("tiny over 60 texts"), "{}", done.stdout);
    assert!(done.stdout.contains("PASS  agreement"), "{}", done.stdout);
    assert!(done.stdout.contains("PASS  kl"), "{}", done.stdout);
    let record = json(&work.path("mlx_conversion/fidelity/tiny_q8_fidelity.json"));
    assert_eq!((&record["rows"], &record["verdict"]), (&json!(60), &json!("pass")));
    assert_eq!(record["engines"].as_array().map(Vec::len), Some(2));
    let comparisons = record["comparisons"].as_array().expect("a list");
    assert_eq!(comparisons.len(), 1);
    let logits = &comparisons[0]["fidelity"]["logits"];
    let answers = |model: &str, bits: &str| -> Vec<Vec<f64>> {
        let arguments = ["predict", model, "--input", "texts.jsonl", "--activations", bits];
        let lines = work.mlxq(&arguments).good().stdout;
        let logits = |line: &str| {
            let answer: Value = serde_json::from_str(line).expect("JSON");
            let logits = answer["logits"].as_array().expect("logits");
            logits.iter().map(|logit| logit.as_f64().expect("a number")).collect()
        };
        lines.lines().map(logits).collect()
    };
    let base = answers("tiny-bert-classify", "32");
    let converted = answers("models/mlx_converted/tiny-mlx-q8", "16");
    let softmax = |row: &[f64]| -> Vec<f64> {
        let sum: f64 = row.iter().map(|logit| logit.exp()).sum();
        row.iter().map(|logit| logit.exp() / sum).collect()
    };
    let divergence = |(p, q): (&Vec<f64>, &Vec<f64>)| -> f64 {
        softmax(p).iter().zip(softmax(q)).map(|(p, q)| p * (p / q).ln()).sum()
    };
    let mean = base.iter().zip(&converted).map(divergence).sum::<f64>() / 60.0;
    let said = logits["kl_mean"].as_f64().expect("a number");
    assert!(mean > 0.0 && (said - mean).abs() < 1e-9, "{said} {mean}");
    let interval = &comparisons[0]["mean_interval_95"];
    assert!(interval[0].as_f64() < Some(said) && Some(said) < interval[1].as_f64(), "{interval}");
}

#[test]
fn gates_that_cannot_be_judged_do_not_pass() {
    let embedding = work("tiny-bert-embed", "min_agreement: 0.9");
    let done = run(&embedding, &["texts.jsonl"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    assert!(done.stdout.contains("NOT MEASURED  agreement"), "{}", done.stdout);
    assert!(done.stdout.contains("mean cosine"), "{}", done.stdout);
    let strict = work("tiny-bert-classify", "max_kl: 0");
    assert_eq!(run(&strict, &["texts.jsonl"]).code, 1);
    let none = work("tiny-bert-embed", "");
    let done = run(&none, &["texts.jsonl", "--max-samples", "3"]).good();
    assert!(done.stdout.contains("over 3 texts") && done.stdout.contains("verdict: not set"));
}

#[test]
fn lines_that_are_no_texts_are_named() {
    let work = work("tiny-bert-embed", "");
    work.write("bad.jsonl", "{\"text\": \"good\"}\n{\"txt\": 1}\n");
    run(&work, &["bad.jsonl"]).refused(3, &["bad.jsonl", "line 2", "text"]);
    work.write("empty.jsonl", "\n\n");
    run(&work, &["empty.jsonl"]).refused(3, &["empty.jsonl", "has no text"]);
    run(&work, &["none.jsonl"]).refused(3, &["none.jsonl"]);
    run(&work, &["bad.jsonl", "--dataset", "x"]).refused(2, &["--dataset"]);
}
