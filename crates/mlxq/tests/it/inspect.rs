//! `mlxq inspect`.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Work, fixture, text};

fn inspect(work: &Work, arguments: &[&str]) -> Value {
    let done = work.mlxq(&[&["inspect", "--json"], arguments].concat()).good();
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn convert(work: &Work, source: &Path, out: &str, how: &[&str]) {
    let folders = ["convert", "--hf-path", text(source), "--mlx-path", out];
    work.mlxq(&[&folders, how].concat()).good();
}

/// The tensor `name` of a document.
fn tensor<'d>(document: &'d Value, name: &str) -> &'d Value {
    let tensors = document["tensors"].as_array().expect("a list");
    tensors.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no `{name}`"))
}

/// By hand, of 64 wide, 128 inside, two layers, 74 + 40 + 2 rows of tables: a layer has four matrices of
/// 64 × 64 and two of 64 × 128, and 9 × 64 + 128 numbers in biases and normalizations; outside are the
/// tables, a normalization and the pooler.
const IN_A_LAYER: u64 = 4 * 64 * 64 + 2 * 64 * 128;
const BESIDE: u64 = 9 * 64 + 128;
const TABLES: u64 = (74 + 40 + 2) * 64;
const OUTSIDE: u64 = 2 * 64 + 64 * 64 + 64;

#[test]
fn an_original_is_what_its_conversion_would_be() {
    let work = Work::new();
    let found = inspect(&work, &[text(&fixture("tiny-bert-embed"))]);
    let quantized = TABLES + 2 * IN_A_LAYER;
    let parameters = quantized + 2 * BESIDE + OUTSIDE;
    // 8 bits and two halves for 64 numbers are 8.5 bits; all others become halves.
    let converted = quantized * 17 / 16 + (parameters - quantized) * 2;
    let total = &found["total"];
    assert_eq!(total["parameters"], parameters);
    assert_eq!(total["quantized_parameters"], quantized);
    assert_eq!(total["tensors"], 7 + 2 * 16);
    assert_eq!(total["quantized_tensors"], 3 + 2 * 6);
    assert_eq!(total["stored"], json!({"bytes": 4 * parameters, "bits_per_weight": 32.0}));
    assert_eq!(total["converted"]["bytes"], converted);
    assert_eq!(found["layers"][0]["layer"], Value::Null);
    assert_eq!(found["layers"][0]["parameters"], TABLES + OUTSIDE);
    assert_eq!(found["layers"][2]["layer"], 1);
    assert_eq!(found["layers"][2]["converted"]["bytes"], IN_A_LAYER * 17 / 16 + 2 * BESIDE);
    assert_eq!(found["quantization"], json!({"bits": 8, "group_size": 64, "mode": "affine"}));
    assert_eq!(tensor(&found, "pooler.dense.weight")["rule"], "a head, kept in float");
    let query = tensor(&found, "encoder.layer.1.attention.self.query");
    assert_eq!(query["rule"], "the default");
    let form = json!({"dtype": "U32", "bytes": 64 * 64 * 17 / 16, "bits_per_weight": 8.5,
        "quantization": found["quantization"], "scales": "F16"});
    assert_eq!(query["converted"], form);
    assert_eq!(query["stored"]["dtype"], "F32");
}

#[test]
fn a_converted_folder_is_compared_with_its_source() {
    let work = Work::new();
    let source = fixture("tiny-bert-classify");
    convert(&work, &source, "out", &["--q-bits", "4", "--q-override", "value=none"]);
    let found = inspect(&work, &["out", "--source", text(&source)]);
    assert_eq!(found["total"]["tensors"], 9 + 2 * 16);
    assert_eq!(found["total"]["quantized_tensors"], 3 + 2 * 5);
    let value = tensor(&found, "bert.encoder.layer.0.attention.self.value.weight");
    assert_eq!(value["rule"], "--q-override value=none");
    assert_eq!(value["stored"]["quantization"], Value::Null);
    // Half precision has 11 bits: a relative error of at most 2^-11.
    let error = |row: &Value| row["error"]["relative_rms"].as_f64().expect("a number");
    assert!((1e-5..1.0 / 2048.0).contains(&error(value)), "{value}");
    // The fixture has normal weights: steps of about 5/15 of their deviation, whose error is uniform.
    let packed = error(tensor(&found, "bert.encoder.layer.0.attention.self.query"));
    assert!((0.05..0.15).contains(&packed), "{packed}");
    assert!(error(&found["total"]) < 0.15);
    assert_eq!(found["not_compared"], json!([]));
    // The folder's own record finds the same source, as long as it is there.
    assert_eq!(inspect(&work, &["out"]), found);
    let moved = work.copy("tiny-bert-embed");
    convert(&work, &moved, "other", &[]);
    std::fs::remove_dir_all(&moved).expect("removed");
    let alone = inspect(&work, &["other"]);
    assert_eq!((&alone["source"], &alone["total"]["error"]), (&Value::Null, &Value::Null));
}

/// A checkpoint without a layout, with one matrix of 64 columns for each row of `rows`.
fn hand_made(work: &Work, rows: &[(&str, Vec<f32>)]) {
    let (mut header, mut bytes) = (serde_json::Map::new(), Vec::new());
    for (name, numbers) in rows {
        let start = bytes.len();
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let about = json!({"dtype": "F32", "shape": [numbers.len() / 64, 64],
            "data_offsets": [start, bytes.len()]});
        header.insert(format!("{name}.weight"), about);
    }
    let header = Value::Object(header).to_string();
    let length = (header.len() as u64).to_le_bytes();
    work.write("made/model.safetensors", [&length, header.as_bytes(), &bytes].concat());
    work.write("made/config.json", r#"{"model_type": "hand-made"}"#);
}

/// By hand: the steps of a group from 0 to 1.875 in 4 bits are 1/8, which floats hold; 1 + 1/32 falls
/// on 1, and nothing else moves.
#[test]
fn errors_are_those_of_hand_calculation() {
    let work = Work::new();
    let grid = |i: u32| f32::from(u8::try_from(i % 16).expect("small")) / 8.0;
    let mut off = vec![0.0; 64];
    (off[7], off[50]) = (1.875, 1.03125);
    let two_valued = (0..64).map(|i| if i % 3 == 0 { 1.875 } else { 0.0 }).collect();
    hand_made(
        &work,
        &[
            ("layers.0.constant", vec![0.5; 128]),
            ("layers.0.two_valued", two_valued),
            ("layers.1.grid", (0..64).map(grid).collect()),
            ("layers.1.off", off),
        ],
    );
    convert(&work, &work.path("made"), "out", &["--q-bits", "4"]);
    let found = inspect(&work, &["out", "--source", "made"]);
    assert_eq!(found["has_layout"], false);
    for exact in ["layers.0.constant", "layers.0.two_valued", "layers.1.grid"] {
        let error = &tensor(&found, exact)["error"];
        assert_eq!(*error, json!({"relative_rms": 0.0, "max_abs": 0.0}), "{exact}");
    }
    let error = |row: &Value| row["error"]["relative_rms"].as_f64().expect("a number");
    let near = |found: f64, squares: f64| {
        let expected = 0.03125 / squares.sqrt();
        assert!((found / expected - 1.0).abs() < 1e-14, "{found}, expected {expected}");
    };
    let off = 1.875f64.powi(2) + 1.03125f64.powi(2);
    near(error(tensor(&found, "layers.1.off")), off);
    assert_eq!(tensor(&found, "layers.1.off")["error"]["max_abs"], 0.03125);
    // 0² + .. + 15² = 1240, four times, in units of 1/8.
    let grid = 4.0 * 1240.0 / 64.0;
    near(error(&found["layers"][1]), off + grid);
    near(error(&found["total"]), off + grid + 128.0 * 0.25 + 22.0 * 1.875f64.powi(2));
    assert_eq!(error(&found["layers"][0]), 0.0);
    // The layer that hurts stands first.
    let shown = work.mlxq(&["inspect", "out"]).good().stdout;
    let place = |word: &str| shown.find(word).unwrap_or_else(|| panic!("`{word}`: {shown}"));
    assert!(place("\n1  ") < place("\n0  "), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
}

/// A name may hold what steers a terminal; the document stays JSON and keeps it.
#[test]
fn names_that_steer_a_terminal_are_shown_and_not_done() {
    let work = Work::new();
    let name = "layers.0.a\u{202e}b\u{e0001}";
    hand_made(&work, &[(name, vec![1.0; 64])]);
    let found = inspect(&work, &["made"]);
    assert_eq!(found["tensors"][0]["name"], name);
    for arguments in [&["inspect", "made"][..], &["inspect", "made", "--json"]] {
        let shown = work.mlxq(arguments).good().stdout;
        assert!(!shown.contains(['\u{202e}', '\u{e0001}']), "{shown:?}");
    }
}

#[test]
fn what_is_no_model_or_of_another_is_refused() {
    let work = Work::new();
    work.write("empty/notes.txt", "");
    work.mlxq(&["inspect", "empty"]).refused(3, &["config.json"]);
    work.mlxq(&["inspect", "nothing"]).refused(3, &["nothing", "no such folder"]);
    work.mlxq(&["inspect"]).refused(2, &["MODEL_DIR"]);
    let help = work.mlxq(&["inspect", "--help"]).good().stdout;
    assert_eq!(help.matches("  mlxq inspect ").count(), 2, "{help}");
    let source = fixture("tiny-bert-embed");
    convert(&work, &source, "out", &[]);
    hand_made(&work, &[("a", vec![1.0; 64])]);
    work.mlxq(&["inspect", "out", "--source", "made"]).refused(3, &["hand-made", "bert"]);
}

#[test]
fn a_folder_that_cannot_be_converted_is_shown_with_the_reason() {
    let work = Work::new();
    let folder = work.copy("tiny-bert-embed");
    let path = folder.join("config.json");
    let config = std::fs::read_to_string(&path).expect("a file");
    std::fs::write(&path, config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"))
        .expect("written");
    let found = inspect(&work, &["tiny-bert-embed"]);
    let problem = found["problem"].as_str().expect("a text");
    assert!(problem.contains("encoder.layer.2"), "{problem}");
    assert_eq!(found["total"]["parameters"], TABLES + OUTSIDE + 2 * (IN_A_LAYER + BESIDE));
    assert_eq!(found["total"]["converted"], Value::Null);
    let shown = work.mlxq(&["inspect", "tiny-bert-embed", "--tensors"]).good().stdout;
    assert!(shown.contains("would refuse it"), "{shown}");
}
