//! `mlxq predict`.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Work, fixture, text};

const TEXTS: &str =
    "{\"text\": \"a cat\"}\n\n{\"text\": \"a dog\", \"text_pair\": \"no dog\", \"id\": 7}\n";

#[test]
fn a_classifier_gives_logits_and_labels() {
    let work = Work::new();
    let model = fixture("tiny-bert-classify");
    let done = work.mlxq_with(&["predict", text(&model), "--input", "-"], TEXTS).good();
    let rows = answers(&done.stdout);
    assert_eq!(rows.len(), 2);
    let names = ["contradiction", "entailment", "neutral"];
    for row in rows {
        let logits = numbers(&row["logits"]);
        assert_eq!(logits.len(), 3);
        let best = (0..3).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).expect("three");
        assert_eq!(row["label"], names[best]);
        close(&numbers(&row["scores"]), &softmax(&logits));
    }
}

fn answers(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().filter_map(Value::as_f64).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|x| x.exp()).sum();
    logits.iter().map(|x| x.exp() / sum).collect()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

/// Changes a JSON file of a copied model.
fn edit(path: &Path, change: impl Fn(&mut Value)) {
    let mut value = crate::json(path);
    change(&mut value);
    std::fs::write(path, value.to_string()).expect("a file");
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

/// Layers whose weights are float compute in float32, whatever is asked for.
#[test]
fn activations_do_not_touch_a_float_model() {
    let work = Work::new();
    let model = fixture("tiny-bert-embed");
    let run = |more: &[&str]| {
        let arguments = [&["predict", text(&model), "--input", "-"], more].concat();
        work.mlxq_with(&arguments, TEXTS)
    };
    let expected = run(&[]).good().stdout;
    for bits in ["32", "16", "8"] {
        assert_eq!(run(&["--activations", bits]).good().stdout, expected);
    }
    run(&["--activations", "int8"]).refused(2, &["'int8'", "32, 16, 8"]);
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

/// 36 tokens, of which three are special: a pair that is cut on both sides is one row that was cut.
#[test]
fn pairs_that_are_cut_are_counted() {
    let work = Work::new();
    let model = fixture("tiny-bert-classify");
    let pair = |first: usize, second: usize| {
        let (first, second) = ("cat ".repeat(first), "dog ".repeat(second));
        format!("{{\"text\": \"{first}\", \"text_pair\": \"{second}\"}}\n")
    };
    let rows = [pair(40, 40), pair(1, 40), pair(40, 1), pair(16, 17)].concat();
    let done = work.mlxq_with(&["predict", text(&model), "--input", "-"], &rows).good();
    assert!(done.stderr.contains("3 of 4 rows were cut to 36 tokens"), "{}", done.stderr);
}

/// The scores of `TextClassificationPipeline` of transformers, from the logits by hand.
#[test]
fn scores_go_by_the_problem_type() {
    let work = Work::new();
    let config = work.copy("tiny-bert-classify").join("config.json");
    let ask = |problem: &str| {
        edit(&config, |config| config["problem_type"] = json!(problem));
        work.mlxq_with(&["predict", "tiny-bert-classify", "--input", "-"], "{\"text\": \"a cat\"}")
    };
    let first = |problem: &str| answers(&ask(problem).good().stdout).remove(0);
    let multi = first("multi_label_classification");
    let (logits, scores) = (numbers(&multi["logits"]), numbers(&multi["scores"]));
    close(&scores, &logits.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect::<Vec<_>>());
    let names = ["contradiction", "entailment", "neutral"];
    let held: Vec<_> = (0..3).filter(|id| logits[*id] > 0.0).map(|id| names[id]).collect();
    assert_eq!((&multi["labels"], multi.get("label")), (&json!(held), None));
    let regression = first("regression");
    assert_eq!(regression, json!({"logits": multi["logits"]}));
    ask("ranking").refused(3, &["config.json", "`problem_type`", "ranking"]);
}

#[test]
fn a_text_without_any_token_is_refused() {
    let work = Work::new();
    let model = work.copy("tiny-bert-classify");
    edit(&model.join("tokenizer.json"), |value| value["post_processor"] = Value::Null);
    let lines = "{\"text\": \"cat\"}\n{\"text\": \"\"}\n";
    let run = || work.mlxq_with(&["predict", "tiny-bert-classify", "--input", "-"], lines);
    run().refused(3, &["input line 2: has no token"]);
    // With special tokens an empty text is a text.
    let model = fixture("tiny-bert-classify");
    let done = work.mlxq_with(&["predict", text(&model), "--input", "-"], lines).good();
    assert_eq!(answers(&done.stdout).len(), 2);
}

const LABELS: [&str; 3] = ["good", "Big", "big"];

/// Zero-shot answers to "the cat runs" about [`LABELS`], after `more` options.
fn zero_shot(work: &Work, model: &Path, more: &[&str]) -> Value {
    let fixed = ["predict", text(model), "--input", "-", "--candidate-labels", "good, Big,, big"];
    let arguments = [&fixed, more].concat();
    let done = work.mlxq_with(&arguments, "{\"text\": \"the cat runs\"}\n").good();
    answers(&done.stdout).remove(0)
}

/// The logits of the pairs, which are checked against transformers elsewhere, brought together by hand.
/// The tokenizer lower-cases: `Big` and `big` are equal, and of equals the later comes first.
#[test]
fn candidate_labels_are_ranked() {
    let work = Work::new();
    let model = fixture("tiny-bert-classify");
    let pairs: String = LABELS
        .iter()
        .map(|label| json!({"text": "the cat runs", "text_pair": format!("it is {label}!")}))
        .map(|pair| format!("{pair}\n"))
        .collect();
    let done = work.mlxq_with(&["predict", text(&model), "--input", "-"], &pairs).good();
    let logits: Vec<_> =
        answers(&done.stdout).iter().map(|answer| numbers(&answer["logits"])).collect();
    let entailment: Vec<f64> = logits.iter().map(|row| row[1]).collect();
    let against: Vec<f64> = logits.iter().map(|row| softmax(&row[..2])[1]).collect();
    for (more, scores) in [(&[][..], softmax(&entailment)), (&["--multi-label"], against)] {
        assert_eq!(scores[1], scores[2]);
        let order = if scores[0] > scores[1] { [0, 2, 1] } else { [2, 1, 0] };
        let more = [&["--hypothesis-template", "it is {}!"], more].concat();
        let answer = zero_shot(&work, &model, &more);
        assert_eq!(answer["sequence"], "the cat runs");
        assert_eq!(answer["labels"], json!(order.map(|place| LABELS[place])));
        close(&numbers(&answer["scores"]), &order.map(|place| scores[place]));
    }
}

#[test]
fn the_logit_of_entailment_can_be_named() {
    let work = Work::new();
    let model = work.copy("tiny-bert-classify");
    let named = zero_shot(&work, &model, &["--multi-label"]);
    edit(&model.join("config.json"), |config| {
        config["id2label"] = json!({"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"});
        config.as_object_mut().expect("an object").remove("label2id");
    });
    assert_eq!(zero_shot(&work, &model, &["--multi-label", "--entailment-id", "1"]), named);
    let ask = |more: &[&str]| {
        let fixed = ["predict", "tiny-bert-classify", "--input", "-", "--candidate-labels", "a"];
        work.mlxq_with(&[&fixed, more].concat(), "{\"text\": \"cat\"}\n")
    };
    ask(&[]).refused(2, &["begins with `entail`", "LABEL_0, LABEL_1, LABEL_2"]);
    ask(&["--entailment-id", "3"]).refused(2, &["entailment id 3", "0 to 2"]);
    // One label is compared with the first logit, whatever that means.
    let note = ask(&["--entailment-id", "2"]).good().stderr;
    assert!(note.contains("`LABEL_0`, number 0"), "{note}");
}

#[test]
fn questions_without_sense_are_refused_before_the_model_is_read() {
    let work = Work::new();
    for (arguments, word) in [
        (&["--candidate-labels", " , "][..], "no candidate label"),
        (&["--candidate-labels", "a", "--hypothesis-template", "it is so"], "has no `{}`"),
        (&["--candidate-labels", "a", "--hypothesis-template", "{} or {}"], "`{0}`"),
        (&["--multi-label"], "--candidate-labels"),
        (&["--hypothesis-template", "{}"], "--candidate-labels"),
        (&["--entailment-id", "0"], "--candidate-labels"),
    ] {
        let arguments = [&["predict", "nowhere", "--input", "nothing"], arguments].concat();
        work.mlxq(&arguments).refused(2, &[word]);
    }
    let embed = fixture("tiny-bert-embed");
    work.mlxq(&["predict", text(&embed), "--input", "-", "--candidate-labels", "a"])
        .refused(2, &["classification head"]);
    let classify = fixture("tiny-bert-classify");
    let long = "cat ".repeat(33);
    work.mlxq(&["predict", text(&classify), "--input", "-", "--candidate-labels", &long])
        .refused(2, &["`cat cat", "36 tokens"]);
}

/// A dialogue: each line is answered before the next is asked, and a bad one ends the program while its
/// input is still open. Fails by not ending.
#[test]
fn a_line_is_answered_without_waiting_for_more() {
    use std::io::{BufRead, BufReader, Read, Write};

    let model = fixture("tiny-bert-embed");
    for threads in ["1", "2"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mlxq"))
            .args(["predict", text(&model), "--input", "-", "--threads", threads])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut answers = Vec::new();
        for line in TEXTS.lines().filter(|line| !line.is_empty()) {
            writeln!(input, "{line}").expect("it listens");
            let mut answer = String::new();
            output.read_line(&mut answer).expect("an answer");
            assert!(answer.starts_with("{\"embedding\":") && answer.ends_with("}\n"), "{answer}");
            answers.push(answer);
        }
        assert_ne!(answers[0], answers[1]);
        writeln!(input, "{{\"text\": \"a cat\"}}\n{{}}").expect("it listens");
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("text");
        assert_eq!(rest, answers[0], "what stands before the bad line is answered");
        let status = child.wait().expect("the program ends");
        assert_eq!(status.code(), Some(3));
        drop(input);
    }
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
