//! Section 6: configurations that lie, beside good weights.

use serde_json::{Value, json};

use super::{SAFETENSORS, config, refused};
use crate::{Work, fixture};

/// The good weights of the fixture with `bytes` as configuration.
fn check(item: &str, model: &str, bytes: &[u8], words: &[&str]) {
    let work = Work::new();
    work.write("model/config.json", bytes);
    let weights = std::fs::read(fixture(model).join(SAFETENSORS)).expect("a fixture");
    work.write(&format!("model/{SAFETENSORS}"), weights);
    refused(&work, item, words);
}

#[test]
fn files_that_are_no_configuration() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let large = format!("{{\"model_type\":\"bert\"{}}}", " ".repeat(17 << 20));
    for (item, text, word) in [
        ("6a empty", "", "empty"),
        ("6a list", "[]", "a list"),
        ("6a null", "null", "null"),
        ("6a truncated", "{\"model_type\": \"bert\"", "column"),
        ("6a byte order mark", "\u{feff}{}", "byte order mark"),
        ("6b duplicate key", "{\"model_type\":\"bert\",\"model_type\":\"bert\"}", "stands twice"),
        ("6b duplicate key within", "{\"a\":{\"x\":1,\"x\":2}}", "`x` stands twice"),
        ("6c NaN", "{\"a\":NaN}", "column"),
        ("6c Infinity", "{\"a\":-Infinity}", "column"),
        ("6c beyond f64", "{\"a\":1e999}", "column"),
        ("6 nested deeply", &deep, "recursion limit"),
        ("6 larger than 16 MiB", &large, "larger than 16777216 bytes"),
        ("6f no model type", "{}", "model_type"),
        ("6f model type that is a list", "{\"model_type\":[\"bert\"]}", "model_type"),
    ] {
        check(item, "tiny-bert-embed", text.as_bytes(), &["config.json", word]);
    }
    check("6a no UTF-8", "tiny-bert-embed", b"{\"a\":\"\xff\"}", &["config.json", "column"]);
}

#[test]
fn settings_that_lie() {
    for (item, key, value) in [
        ("6d text", "hidden_size", json!("64")),
        ("6d float", "hidden_size", json!(64.0)),
        ("6d list", "num_hidden_layers", json!([2])),
        ("6d truth value", "vocab_size", json!(true)),
        ("6e negative", "hidden_size", json!(-1)),
        ("6e zero", "num_hidden_layers", json!(0)),
        ("6e zero heads", "num_attention_heads", json!(0)),
        ("6e 10^18 words", "vocab_size", json!(1_000_000_000_000_000_000_u64)),
        ("6e 2^64 - 1 layers", "num_hidden_layers", json!(u64::MAX)),
        ("6e 10^9 layers", "num_hidden_layers", json!(1_000_000_000)),
        ("6e 10^9 heads", "num_attention_heads", json!(1_000_000_000)),
        ("6e 10^9 positions", "max_position_embeddings", json!(1_000_000_000)),
        ("6e huge width", "hidden_size", json!(1 << 20)),
        ("6e epsilon of 0", "layer_norm_eps", json!(0)),
        ("6e epsilon that is a text", "layer_norm_eps", json!("1e-12")),
        ("6f type with ESC", "model_type", json!("\u{1b}[31mbert")),
        ("6f code of its own", "auto_map", json!({"AutoModel": "m.M"})),
        ("6g heads that do not divide", "num_attention_heads", json!(5)),
        ("6h activation", "hidden_act", json!("swish9")),
        ("6h relative positions", "position_embedding_type", json!("relative_key")),
        ("6h decoder", "is_decoder", json!(true)),
        ("6h cross attention", "add_cross_attention", json!(true)),
        ("6o quantized by MLX", "quantization", json!({"bits": 8, "group_size": 64})),
        ("6o quantization that is a text", "quantization", json!("yes")),
        ("6o 7 bits", "quantization", json!({"bits": 7, "group_size": 64})),
    ] {
        let bytes = config(|config| config[key] = value);
        let key = if item == "6f type with ESC" { "\\u{1b}" } else { key };
        check(item, "tiny-bert-embed", &bytes, &[key]);
    }
}

#[test]
fn settings_that_do_not_fit_the_weights() {
    for (item, key, value, word) in [
        ("6i more words than rows", "vocab_size", 1000, "word_embeddings"),
        ("6i fewer words than rows", "vocab_size", 10, "word_embeddings"),
        ("6n more positions than rows", "max_position_embeddings", 512, "position_embeddings"),
        ("6n fewer positions than rows", "max_position_embeddings", 8, "position_embeddings"),
        ("7c another width", "hidden_size", 96, "96"),
        ("7c another inner width", "intermediate_size", 64, "intermediate"),
        ("7b more layers than weights", "num_hidden_layers", 4, "encoder.layer.2"),
        ("7c more segments than rows", "type_vocab_size", 3, "token_type_embeddings"),
    ] {
        let bytes = config(|config| config[key] = json!(value));
        check(item, "tiny-bert-embed", &bytes, &[word]);
    }
}

#[test]
fn labels_that_lie() {
    let change = |change: &dyn Fn(&mut Value)| {
        let mut config = crate::json(&fixture("tiny-bert-classify").join("config.json"));
        config.as_object_mut().expect("an object").remove("label2id");
        change(&mut config);
        config.to_string().into_bytes()
    };
    for (item, labels, word) in [
        ("6j gap", json!({"0": "a", "1": "b", "3": "c"}), "id2label"),
        ("6j key that is no number", json!({"0": "a", "1": "b", "two": "c"}), "id2label"),
        ("6j negative key", json!({"0": "a", "1": "b", "-1": "c"}), "id2label"),
        ("6j key twice", json!({"0": "a", "1": "b", "01": "c"}), "id2label"),
        ("6j huge key", json!({"0": "a", "1": "b", "18446744073709551615": "c"}), "id2label"),
        ("6j empty name", json!({"0": "a", "1": "b", "2": ""}), "id2label"),
        ("6j equal names", json!({"0": "a", "1": "b", "2": "a"}), "id2label"),
        ("6j name that is a number", json!({"0": "a", "1": "b", "2": 3}), "id2label"),
        ("6j list", json!(["a", "b", "c"]), "id2label"),
        ("6m fewer labels than rows", json!({"0": "a", "1": "b"}), "classifier"),
        ("6m more labels", json!({"0": "a", "1": "b", "2": "c", "3": "d"}), "classifier"),
    ] {
        let bytes = change(&|config| config["id2label"] = labels.clone());
        check(item, "tiny-bert-classify", &bytes, &[word]);
    }
    let bytes = change(&|config| config["num_labels"] = json!(4));
    check("6k another number of labels", "tiny-bert-classify", &bytes, &["num_labels"]);
    let bytes = change(&|config| {
        config["label2id"] = json!({"contradiction": 1, "entailment": 0, "neutral": 2});
    });
    check("6l labels both ways", "tiny-bert-classify", &bytes, &["label2id"]);
}
