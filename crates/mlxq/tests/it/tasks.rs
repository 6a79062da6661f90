//! The tasks that `mlxq test` knows, on tiny models whose own answers are the labels: what is right is then
//! known by hand. The figures themselves are held against others in `peers/tests/test_tasks.py`.

use serde_json::{Value, json};

use crate::{Done, Work, json};

const TEXTS: [&str; 6] =
    ["a cat walks", "the dog runs", "a red bird sings", "no water", "two men eat", "fire"];
const LABELS: [&str; 2] = ["card_payment", "SavingsAccount"];

fn run(work: &Work, more: &[&str]) -> Done {
    let arguments = ["run", "--config", "all.yaml", "--no-torch", "--threads", "1"];
    let quick = ["--block-pairs", "5", "--block-seconds", "0.01"];
    work.mlxq(&[&arguments[..], &quick, more].concat())
}

fn record(work: &Work, dataset: &str) -> Value {
    let name = format!("mlx_conversion/comparisons/tiny_q8_{dataset}_comparison.json");
    json(&work.path(&name))
}

/// The configuration of one model and one data set `d`.
fn config(work: &Work, model: &str, task: &str, dataset: &str, more: &str) {
    work.copy(model);
    work.write(
        "all.yaml",
        format!(
            "models:\n  - name: tiny\n    path: {model}\n    task: {task}\n    benchmarks: [d]\n{more}\
             datasets:\n  d:\n    provider: local\n{dataset}"
        ),
    );
}

/// What `mlxq predict --candidate-labels` ranks first is what the task says: the labels of all rows but
/// two are its own answers, so 22 of 24 rows are right.
#[test]
fn zero_shot_asks_about_the_labels_in_words() {
    let work = Work::new();
    let dataset = "    path: rows.jsonl\n    columns: {text: text, label: label}\n    \
                   labels: [card_payment, SavingsAccount]\n    metrics: [accuracy, macro_f1]\n";
    config(&work, "tiny-bert-classify", "zero-shot-classification", dataset, "");
    let texts: Vec<String> =
        (0..24).map(|n| format!("{} {}", TEXTS[n % 6], TEXTS[(n / 6 + n) % 6])).collect();
    let requests: String =
        texts.iter().map(|text| format!("{}\n", json!({"text": text}))).collect();
    let words = ["predict", "tiny-bert-classify", "--input", "-", "--candidate-labels"];
    let words = [&words[..], &["card payment, savings account"]].concat();
    let answers = work.mlxq_with(&words, &requests).good();
    let mut rows = String::new();
    for (place, (text, line)) in texts.iter().zip(answers.stdout.lines()).enumerate() {
        let answer: Value = serde_json::from_str(line).expect("JSON");
        let said = usize::from(answer["labels"][0] == "savings account");
        let label = LABELS[if place < 2 { 1 - said } else { said }];
        rows.push_str(&format!("{}\n", json!({"text": text, "label": label})));
    }
    work.write("rows.jsonl", rows);
    let done = run(&work, &[]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let record = record(&work, "d");
    assert_eq!(record["task"], "zero-shot-classification");
    assert_eq!(record["native_original"]["accuracy"], json!(22.0 / 24.0));
    assert_eq!(
        record["zero_shot_hypotheses"]["SavingsAccount"],
        "This example is savings account."
    );
    let figures =
        record["judgement"]["original_to_converted"]["figures"].as_array().expect("a list");
    let names: Vec<_> = figures.iter().map(|figure| figure["metric"].as_str()).collect();
    assert_eq!(names, [Some("accuracy"), Some("macro_f1")]);
    // Wilson's interval of 22 of 24 (statsmodels 0.15).
    let interval = &figures[0]["baseline"]["interval_95"];
    assert!((interval[0].as_f64().expect("a number") - 0.741_516).abs() < 1e-5, "{interval}");
}

/// Rows whose labels say what entails what go through the head as pairs, whatever the task is called.
#[test]
fn zero_shot_on_data_of_inference_is_inference() {
    let work = Work::new();
    let dataset = "    path: rows.jsonl\n    columns: {text: a, text_pair: b, label: label}\n";
    config(&work, "tiny-bert-classify", "binary-zero-shot-classification", dataset, "");
    let row = |n: usize| {
        let label = ["entailment", "not_entailment"][n % 2];
        format!("{}\n", json!({"a": TEXTS[n % 6], "b": TEXTS[(n + 1) % 6], "label": label}))
    };
    work.write("rows.jsonl", (0..12).map(row).collect::<String>());
    let done = run(&work, &[]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let record = record(&work, "d");
    assert_eq!((&record["task"], &record["zero_shot_hypotheses"]), (&json!("nli"), &Value::Null));
    assert!(record["labels"]["fold"].as_str().expect("a fold").contains("not_entailment"));
    let flips = &record["judgement"]["original_to_converted"]["flips"];
    assert_eq!(
        flips["examples"].as_array().map(Vec::len),
        flips["changed"].as_u64().map(|n| n as usize)
    );
}

/// Every document is a query's own text, so each query finds its document first.
#[test]
fn a_text_finds_itself_in_a_collection() {
    let work = Work::new();
    config(&work, "tiny-bert-embed", "retrieval", "    path: .\n    format: collection\n", "");
    let line =
        |n: usize| format!("{}\n", json!({"_id": format!("x{n}"), "title": "", "text": TEXTS[n]}));
    work.write("queries.jsonl", (0..6).map(line).collect::<String>());
    work.write("corpus.jsonl", (0..6).map(line).collect::<String>());
    let judged: String = (0..6).map(|n| format!("x{n}\tx{n}\t2\n")).collect();
    work.write("qrels.tsv", format!("query-id\tcorpus-id\tscore\n{judged}"));
    let done = run(&work, &[]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let record = record(&work, "d");
    assert_eq!(record["native_original"]["ndcg_at_10"], json!(1.0));
    assert_eq!(record["native_original"]["recall_at_10"], json!(1.0));
    assert_eq!(record["native_original"]["predictions"][3][0], "x3");
}

#[test]
fn tasks_that_are_not_tested_say_so() {
    let work = Work::new();
    let dataset = "    path: rows.jsonl\n    columns: {text: a, label: label}\n";
    config(&work, "tiny-bert-embed", "ner", dataset, "");
    work.write("rows.jsonl", "{\"a\": \"x\", \"label\": \"y\"}\n");
    run(&work, &[]).refused(2, &["`token-classification`", "not tested"]);
}

#[test]
fn gates_are_read_for_one_model_and_for_all() {
    let work = Work::new();
    let dataset = "    path: rows.jsonl\n    columns: {text: a, label: label}\n";
    let gates = "    gates: {min_agreement: 98}\n";
    config(&work, "tiny-bert-classify", "classification", dataset, gates);
    run(&work, &[]).refused(2, &["line 6", "`min_agreement` is 98, expected 0 to 1"]);
    config(&work, "tiny-bert-classify", "classification", dataset, "gates: {max_kl: -1}\n");
    run(&work, &[]).refused(2, &["line 6", "`max_kl`"]);
    config(&work, "tiny-bert-classify", "classification", dataset, "gates: {max_lk: 1}\n");
    run(&work, &[]).refused(2, &["line 6", "did you mean `max_kl`?"]);
}
