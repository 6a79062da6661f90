//! Inputs that must be refused with one clear error, the right exit code and nothing half-written.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Work, fixture};

/// Changes the tiny embedding model with `spoil` and expects conversion and prediction to refuse it
/// with `words`, leaving nothing behind.
fn refused(spoil: impl Fn(&Path), words: &[&str]) {
    let work = Work::new();
    let model = work.copy("tiny-bert-embed");
    spoil(&model);
    let before = work.names();
    let done = work.mlxq(&["convert", "--hf-path", "tiny-bert-embed", "--mlx-path", "out"]);
    done.refused(3, words);
    let errors = done.stderr.lines().filter(|line| line.starts_with("error:")).count();
    assert_eq!(errors, 1, "{}", done.stderr);
    assert_eq!(work.names(), before);
    let stdin = "{\"text\": \"a\"}\n";
    let done = work.mlxq_with(&["predict", "tiny-bert-embed", "--input", "-"], stdin);
    done.refused(3, words);
    assert_eq!(done.stdout, "");
}

fn weights(model: &Path, change: impl Fn(&mut Vec<u8>)) {
    let path = model.join("model.safetensors");
    let mut bytes = std::fs::read(&path).expect("weights");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("weights");
}

fn config(model: &Path, change: impl Fn(&mut Value)) {
    let path = model.join("config.json");
    let mut value = crate::json(&path);
    change(&mut value);
    std::fs::write(&path, value.to_string()).expect("a file");
}

/// Replaces the header of the weights.
fn header(model: &Path, change: impl Fn(&mut Value)) {
    weights(model, |bytes| {
        let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        let mut value: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
        change(&mut value);
        let text = value.to_string();
        let mut new = (text.len() as u64).to_le_bytes().to_vec();
        new.extend(text.as_bytes());
        new.extend(&bytes[8 + length..]);
        *bytes = new;
    });
}

const FILE: &str = "model.safetensors";
const WORDS: &str = "embeddings.word_embeddings.weight";

#[test]
fn damaged_weights() {
    refused(|model| weights(model, |bytes| bytes.truncate(5)), &[FILE]);
    refused(|model| weights(model, |bytes| bytes.truncate(bytes.len() - 1)), &[FILE]);
    refused(|model| weights(model, |bytes| bytes.push(0)), &[FILE]);
    refused(|model| weights(model, |bytes| bytes[..8].fill(0xff)), &[FILE]);
    refused(|model| weights(model, |bytes| bytes[8] = b'['), &[FILE]);
    refused(|model| std::fs::remove_file(model.join(FILE)).expect("a file"), &["tiny-bert-embed"]);
}

#[test]
fn lying_headers() {
    let beyond = |value: &mut Value| value[WORDS]["data_offsets"] = json!([0, u64::MAX]);
    refused(|model| header(model, beyond), &[FILE, WORDS]);
    let overflow = |value: &mut Value| value[WORDS]["shape"] = json!([1u64 << 62, 4]);
    refused(|model| header(model, overflow), &[FILE, WORDS]);
    let dtype = |value: &mut Value| value[WORDS]["dtype"] = json!("F99");
    refused(|model| header(model, dtype), &[FILE, "F99"]);
}

#[test]
fn weights_that_do_not_fit_the_model() {
    let rename = |value: &mut Value| {
        let tensor = value[WORDS].take();
        let map = value.as_object_mut().expect("an object");
        map.remove(WORDS);
        map.insert("embeddings.words".to_owned(), tensor);
    };
    refused(|model| header(model, rename), &["embeddings.word_embeddings"]);
    refused(|model| config(model, |config| config["hidden_size"] = json!(96)), &["96"]);
}

#[test]
fn nan_weights_are_named_with_their_place() {
    let work = Work::new();
    let model = work.copy("tiny-bert-embed");
    weights(&model, |bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let done = work.mlxq(&["convert", "--hf-path", "tiny-bert-embed", "--mlx-path", "out"]);
    done.refused(3, &["NaN", "weight"]);
    assert_eq!(work.names(), ["tiny-bert-embed"]);
}

#[test]
fn configs_that_are_no_model() {
    let write = |text: &'static str| {
        move |model: &Path| std::fs::write(model.join("config.json"), text).expect("a file")
    };
    for text in ["", "[]", "{\"model_type\": \"bert\"", "{\"model_type\": \"bert\", \"a\": NaN}"] {
        refused(write(text), &["config.json"]);
    }
    refused(write("{\"a\": 1, \"a\": 2, \"model_type\": \"bert\"}"), &["config.json", "`a`"]);
    for (key, value, word) in [
        ("model_type", Value::Null, "model_type"),
        ("hidden_size", json!("64"), "hidden_size"),
        ("hidden_size", json!(-1), "hidden_size"),
        ("num_attention_heads", json!(5), "num_attention_heads"),
        ("vocab_size", json!(1_000_000_000_000_000_000u64), "vocab_size"),
        ("hidden_act", json!("swish9"), "swish9"),
        ("position_embedding_type", json!("relative_key"), "relative_key"),
        ("is_decoder", json!(true), "is_decoder"),
        ("auto_map", json!({"AutoModel": "m.M"}), "code of its own"),
    ] {
        refused(|model| config(model, |config| config[key] = value.clone()), &[word]);
    }
}

#[test]
fn labels_of_a_classifier_must_be_whole() {
    let work = Work::new();
    let model = work.copy("tiny-bert-classify");
    for (labels, word) in [
        (json!({"0": "a", "2": "c", "3": "d"}), "id2label"),
        (json!({"0": "a", "1": "a", "2": "c"}), "distinct names"),
        (json!({"0": "a", "1": "b"}), "classifier"),
    ] {
        config(&model, |config| {
            config["id2label"] = labels.clone();
            config.as_object_mut().expect("an object").remove("label2id");
        });
        let done = work.mlxq(&["convert", "--hf-path", "tiny-bert-classify", "--mlx-path", "out"]);
        done.refused(3, &[word]);
        assert_eq!(work.names(), ["tiny-bert-classify"]);
    }
}

#[test]
fn folders_that_are_not_there_or_the_same() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    let convert = |from, to| work.mlxq(&["convert", "--hf-path", from, "--mlx-path", to]);
    convert("nowhere", "out").refused(3, &["nowhere"]);
    convert("tiny-bert-embed", "tiny-bert-embed").refused(3, &["tiny-bert-embed"]);
    convert("tiny-bert-embed", "tiny-bert-embed/out").refused(3, &["tiny-bert-embed"]);
    convert("tiny-bert-embed/config.json", "out").refused(3, &["config.json"]);
    assert_eq!(work.names(), ["tiny-bert-embed"]);
    work.mlxq(&["predict", "nowhere", "--input", "-"]).refused(3, &["nowhere"]);
}

const GOOD: &str = "models:
  - name: tiny
    path: tiny-bert-embed
    task: semantic-similarity
    benchmarks: [pairs]
datasets:
  pairs:
    provider: local
    path: pairs.tsv
    columns: {text: a, text_pair: b, score: s}
";

#[test]
fn configurations_with_mistakes_are_found_before_any_work() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    for (name, text, words) in [
        ("key.yaml", GOOD.replace("benchmarks", "benchmark"), vec!["line 5", "`benchmarks`"]),
        ("twice.yaml", GOOD.replace("    task", "    name: x\n    task"), vec!["line 4", "name"]),
        ("list.yaml", GOOD.replace("[pairs]", "pairs"), vec!["line 5"]),
        ("tabs.yaml", GOOD.replace("    task", "\ttask"), vec!["line 3", "found a tab"]),
        (
            "tag.yaml",
            GOOD.replace("tiny-bert", "!!python/object:os.system tiny-bert"),
            vec!["line 3"],
        ),
        ("bomb.yaml", bomb(), vec![]),
        ("loop.yaml", "models: &x [*x]\n".to_owned(), vec![]),
        ("two.yaml", format!("{GOOD}---\n{GOOD}"), vec![]),
        ("number.yaml", GOOD.replace("name: tiny", "name: 123"), vec!["line 2"]),
        ("columns.yaml", GOOD.replace("score: s", "label: s, score: s"), vec!["`pairs`", "label"]),
        ("empty.yaml", String::new(), vec!["no models"]),
    ] {
        work.write(name, text);
        let done = work.mlxq(&["run", "--config", name, "--no-torch"]);
        done.refused(2, &words);
        assert!(
            words.is_empty() || name == "empty.yaml" || done.stderr.contains(name),
            "{}",
            done.stderr
        );
        assert!(!work.path("mlx_conversion").exists() && !work.path("models").exists(), "{name}");
    }
    work.mlxq(&["run", "--config", "none.yaml"]).refused(2, &["none.yaml"]);
    work.mlxq(&["run", "--config", "none*.yaml"]).refused(2, &["none*.yaml", "matches"]);
}

/// Nine levels of nine references each: 9^9 nodes from 300 bytes.
fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [before.as_str(); 9].join(", ")));
    }
    text
}

#[test]
fn data_sets_that_cannot_be_used() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    work.write("all.yaml", GOOD);
    let run = || work.mlxq(&["run", "--config", "all.yaml", "--no-torch"]);
    run().refused(3, &["pairs.tsv"]);
    for (rows, words) in [
        ("", &["pairs.tsv", "no rows"][..]),
        ("a\tb\ts\n", &["pairs.tsv", "no rows"]),
        ("a\tb\ts\nx\ty\tz\n", &["pairs.tsv", "line 2", "score"]),
        ("a\tc\ts\nx\ty\t1\n", &["pairs.tsv", "`b`", "a, c, s"]),
    ] {
        work.write("pairs.tsv", rows);
        run().refused(3, words);
    }
}

#[test]
fn labels_that_the_model_does_not_have() {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    let yaml = GOOD
        .replace("tiny-bert-embed", "tiny-bert-classify")
        .replace("semantic-similarity", "nli")
        .replace("score: s", "label: s");
    work.write("all.yaml", &yaml);
    work.write("pairs.tsv", "a\tb\ts\nx\ty\tentailment\nx\tz\tmaybe\n");
    let arguments = ["run", "--config", "all.yaml", "--no-torch", "--block-seconds", "0.01"];
    work.mlxq(&arguments).refused(3, &["`maybe`", "`contradiction`, `entailment`, `neutral`"]);
    // A model without a head cannot classify at all.
    work.copy("tiny-bert-embed");
    work.write("all.yaml", yaml.replace("tiny-bert-classify", "tiny-bert-embed"));
    work.mlxq(&arguments).refused(2, &["no classification head"]);
}

#[test]
fn arguments_that_do_not_go_together() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    for arguments in [
        vec![],
        vec!["convert"],
        vec!["convert", "--hf-path", "a"],
        vec!["convert", "--hf-path", "a", "--mlx-path", "b", "--config", "c"],
        vec!["convert", "--config", "c", "--q-bits", "4"],
        vec!["convert", "--hf-path", "a", "--mlx-path", "b", "--dtype", "int8"],
        vec!["predict", crate::text(&source)],
        vec!["predict", crate::text(&source), "--input", "-", "--batch-size", "0"],
        vec!["predict", crate::text(&source), "--input", "-", "--threads", "-1"],
        vec!["run", "--config", "c", "--no-torch", "--python", "p"],
        vec!["run", "--config", "c", "--max-samples", "0"],
        vec!["cook"],
    ] {
        let done = work.mlxq(&arguments);
        assert_eq!(done.code, 2, "{arguments:?}: {}", done.stderr);
        assert!(work.names().is_empty());
    }
    assert_eq!(work.mlxq(&["--help"]).good().stderr, "");
    assert!(work.mlxq(&["--version"]).good().stdout.starts_with("mlxq 0."));
}
