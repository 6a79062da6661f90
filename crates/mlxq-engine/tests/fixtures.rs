//! The native engine on the tiny checkpoints, against what transformers and sentence-transformers gave
//! for them (`peers/fixtures.py`).

use std::path::{Path, PathBuf};

use mlxq_engine::native::{NativeEngine, NativeOps, NativeOptions, Tensor};
use mlxq_engine::{Batch, Engine, OutputKind, Tokenizer};
use mlxq_models::{Ops, Pooling};
use serde::Deserialize;
use serde_json::Value;

/// A row of `expected.jsonl`.
#[derive(Deserialize)]
struct Expected {
    text: String,
    #[serde(default)]
    text_pair: Option<String>,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    output: Vec<f32>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

fn expected(name: &str) -> Vec<Expected> {
    let text = std::fs::read_to_string(fixture(name).join("expected.jsonl")).expect("a fixture");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn engine(name: &str, threads: usize) -> NativeEngine {
    NativeEngine::open(&fixture(name), NativeOptions { threads, ..NativeOptions::default() })
        .expect("a good checkpoint")
}

fn batch(rows: &[Expected]) -> Batch {
    let mut batch = Batch::new();
    rows.iter().for_each(|row| batch.push(&row.ids, &row.type_ids));
    batch
}

/// The files' own truncation to 8 and padding to 8 are traps; the folder's rules say 32 and 36.
#[test]
fn token_ids_are_those_of_the_python_tokenizer() {
    for (name, longest) in [("tiny-bert-embed", 32), ("tiny-bert-classify", 36)] {
        let tokenizer = Tokenizer::open(&fixture(name), None).expect("a good tokenizer");
        assert_eq!(tokenizer.max_length().tokens, longest);
        let rows = expected(name);
        assert!(rows.iter().any(|row| row.ids.len() == longest), "no row reaches the maximum");
        for row in rows {
            let pair = row.text_pair.as_deref();
            let encoding = tokenizer.encode(&row.text, pair).expect("a text");
            assert_eq!((encoding.ids, encoding.type_ids), (row.ids, row.type_ids), "{}", row.text);
        }
    }
}

#[test]
fn outputs_are_those_of_the_python_models() {
    for (name, kind) in
        [("tiny-bert-embed", OutputKind::Embedding), ("tiny-bert-classify", OutputKind::Logits)]
    {
        let rows = expected(name);
        let mut engine = engine(name, 2);
        assert_eq!(engine.info().output, kind);
        let output = engine.predict(&batch(&rows)).expect("good rows");
        for (place, row) in rows.iter().enumerate() {
            let pairs = output.row(place).iter().zip(&row.output);
            // Weights of this size give numbers up to about 5; sums of f32 differ in the last digits.
            let worst = pairs.map(|(ours, theirs)| (ours - theirs).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-5, "{name} row {place}: {worst}");
            assert_eq!(output.cols, row.output.len());
        }
    }
}

#[test]
fn a_row_has_the_same_bits_in_any_company_and_on_any_number_of_threads() {
    for name in ["tiny-bert-embed", "tiny-bert-classify"] {
        let rows = expected(name);
        let whole = engine(name, 1).predict(&batch(&rows)).expect("good rows");
        let mut two = engine(name, 2);
        assert_eq!(two.predict(&batch(&rows)).expect("good rows"), whole);
        for (place, row) in rows.iter().enumerate() {
            let alone = two.predict(&batch(std::slice::from_ref(row))).expect("a good row");
            let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(alone.row(0)), bits(whole.row(place)), "{name} row {place}");
        }
    }
}

#[test]
fn rows_outside_the_model_are_refused() {
    let mut engine = engine("tiny-bert-embed", 1);
    for (ids, types, word) in [
        (vec![], vec![], "0 tokens"),
        (vec![2; 41], vec![0; 41], "41 tokens"),
        (vec![2, 9999], vec![0, 0], "9999"),
        (vec![2, 3], vec![0, 2], "segment 2"),
    ] {
        let mut batch = Batch::new();
        batch.push(&[2, 3], &[0, 0]);
        batch.push(&ids, &types);
        let error = engine.predict(&batch).expect_err("a bad row").to_string();
        assert!(error.starts_with("row 1") && error.contains(word), "{error}");
    }
}

#[test]
fn every_pooling_is_that_of_sentence_transformers() {
    let text = std::fs::read_to_string(fixture("pooling.json")).expect("a fixture");
    let values: Value = serde_json::from_str(&text).expect("JSON");
    let numbers = |value: &Value| -> Vec<f32> {
        let list = value.as_array().expect("a list").iter();
        list.map(|x| x.as_f64().expect("a number") as f32).collect()
    };
    let tokens: Vec<f32> =
        values["tokens"].as_array().expect("rows").iter().flat_map(numbers).collect();
    let tensor = Tensor::new(4, tokens);
    for (name, mode) in [
        ("cls", Pooling::Cls),
        ("max", Pooling::Max),
        ("mean", Pooling::Mean),
        ("mean_sqrt_len_tokens", Pooling::MeanSqrtLength),
        ("weightedmean", Pooling::WeightedMean),
        ("lasttoken", Pooling::LastToken),
    ] {
        let ours = NativeOps::new(1).pool(&tensor, &[0, tensor.rows()], &[mode]).to_vec();
        let theirs = numbers(&values["pooled"][name]);
        assert_eq!(ours.len(), theirs.len());
        let worst = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{name}: {ours:?} {theirs:?}");
    }
}
