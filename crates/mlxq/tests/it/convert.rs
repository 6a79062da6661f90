//! `mlxq convert`.

use serde_json::json;

use crate::{Work, fixture, json, text};

#[test]
fn a_folder_is_converted_and_runs_like_the_original() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    // Four bits turn the vectors of this random model by up to 35 degrees; a mistake in a format turns
    // them by about 90. That the bits are MLX's is tested by `peers/tests/test_convert.py`.
    for (mode, bits, least) in [
        ("affine", "8", 0.999),
        ("affine", "4", 0.7),
        ("mxfp8", "8", 0.99),
        ("mxfp4", "4", 0.7),
        ("nvfp4", "4", 0.7),
    ] {
        let out = format!("{mode}-{bits}");
        let format = ["--q-mode", mode, "--q-bits", bits];
        let folders = ["convert", "--hf-path", text(&source), "--mlx-path", &out];
        work.mlxq(&[&folders[..], &format[..]].concat()).good();
        agrees(&work, text(&source), &out, least);
    }
}

/// Expects embeddings of both folders that point the same way but for `least`.
fn agrees(work: &Work, original: &str, converted: &str, least: f64) {
    let input =
        "{\"text\": \"a cat walks on the house\"}\n{\"text\": \"\"}\n{\"text\": \"no tree\"}\n";
    let vectors = |model: &str| -> Vec<Vec<f64>> {
        let done = work.mlxq_with(&["predict", model, "--input", "-"], input).good();
        let row = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let numbers = |row: serde_json::Value| {
            row["embedding"].as_array().expect("a list").iter().filter_map(|x| x.as_f64()).collect()
        };
        done.stdout.lines().map(row).map(numbers).collect()
    };
    let (original, converted) = (vectors(original), vectors(converted));
    assert_eq!(original.len(), 3);
    for (a, b) in original.iter().zip(&converted) {
        let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        assert!(cosine > least && a != b, "{cosine}");
    }
}

#[test]
fn what_exists_is_not_overwritten() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    let arguments = ["convert", "--hf-path", text(&source), "--mlx-path", "out"];
    work.write("out/mine.txt", "precious");
    work.mlxq(&arguments).refused(3, &["out"]);
    assert_eq!(std::fs::read_dir(work.path("out")).expect("a folder").count(), 1);
    assert_eq!(work.names(), ["out"]);
}

#[test]
fn a_dry_run_writes_nothing_and_gives_the_size() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    let arguments = ["convert", "--hf-path", text(&source), "--mlx-path", "out", "--dry-run"];
    let done = work.mlxq(&arguments).good();
    assert!(done.stderr.contains("bits per weight"), "{}", done.stderr);
    assert!(work.names().is_empty());
}

#[test]
fn bits_groups_and_dtype_are_those_asked_for() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    let mut arguments = vec!["convert", "--hf-path", text(&source), "--mlx-path", "out"];
    arguments.extend(["--q-bits", "4", "--q-group-size", "32", "--dtype", "float32"]);
    work.mlxq(&arguments).good();
    let metadata = json(&work.path("out/conversion_metadata.json"));
    assert_eq!(metadata["model_name"], "tiny-bert-embed");
    let command = metadata["conversion_command"].as_str().expect("a text");
    let options = "--mlx-path out --q-mode affine --q-bits 4 --q-group-size 32 --dtype float32";
    assert!(command.ends_with(options), "{command}");
    let config = json(&work.path("out/config.json"));
    assert_eq!(config["quantization"]["bits"], 4);
    assert_eq!(config["quantization"]["group_size"], 32);
    work.mlxq(&["convert", "--hf-path", text(&source), "--mlx-path", "x", "--q-bits", "7"])
        .refused(2, &["7 bits"]);
}

const MODELS: &str = "models:
  - name: org/tiny
    path: tiny-bert-embed
    task: semantic-similarity
    quantization: {bits: 8, target_size_mb: 40}
  - name: gone
    path: no-such-folder
    task: semantic-similarity
";

#[test]
fn one_bad_model_does_not_stop_the_others() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    work.write("models.yaml", MODELS);
    let done = work.mlxq(&["convert", "--config", "models.yaml"]);
    done.refused(
        3,
        &["no-such-folder", "outside the target 40 MB", "Successful: 1 models", "Failed: 1"],
    );
    assert!(work.path("models/mlx_converted/org__tiny-mlx-q8/config.json").is_file());
    let summary = json(&work.path("mlx_conversion/results/conversion_summary.json"));
    assert_eq!(summary["org/tiny"]["success"], json!(true));
    assert_eq!(summary["gone"]["success"], json!(false));
    let metadata =
        &json(&work.path("mlx_conversion/results/org__tiny_conversion.json"))["metadata"];
    for key in [
        "model_name",
        "hf_name",
        "conversion_time_seconds",
        "conversion_command",
        "timestamp",
        "mlx_version",
        "device",
        "size_accuracy_ratio",
    ] {
        assert!(metadata.get(key).is_some(), "{key}: {metadata}");
    }
    for key in ["bits", "dtype", "target_size_mb", "actual_size_mb"] {
        assert!(metadata["quantization"].get(key).is_some(), "{key}: {metadata}");
    }
}

#[test]
fn converted_models_are_skipped() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    work.write("models.yaml", MODELS);
    let arguments = ["convert", "--config", "models.yaml", "--model", "org/tiny"];
    work.mlxq(&arguments).good();
    let again = work.mlxq(&arguments).good();
    assert!(again.stderr.contains("Skipping org/tiny - already converted"), "{}", again.stderr);
    let forced = work.mlxq(&[&arguments[..], &["--no-skip"]].concat()).good();
    assert!(forced.stderr.contains("Conversion successful"), "{}", forced.stderr);
}

#[test]
fn a_finished_conversion_is_recognised_by_settings_and_content() {
    let work = Work::new();
    let model = work.copy("tiny-bert-embed");
    let arguments = ["convert", "--hf-path", "tiny-bert-embed", "--mlx-path", "out"];
    work.mlxq(&arguments).good();
    let again = work.mlxq(&arguments).good();
    assert!(again.stderr.contains("already converted"), "{}", again.stderr);
    work.mlxq(&[&arguments[..], &["--q-bits", "4"]].concat())
        .refused(3, &["out", "`bits` was 8, now 4", "--no-skip"]);
    let weights = model.join("model.safetensors");
    let mut bytes = std::fs::read(&weights).expect("weights");
    // The same content with another time is the same source.
    std::fs::write(&weights, &bytes).expect("written");
    assert!(work.mlxq(&arguments).good().stderr.contains("already converted"));
    *bytes.last_mut().expect("a byte") ^= 1;
    std::fs::write(&weights, &bytes).expect("written");
    work.mlxq(&arguments).refused(3, &["its source was another"]);
    work.mlxq(&[&arguments[..], &["--no-skip"]].concat()).good();
    assert!(work.mlxq(&arguments).good().stderr.contains("already converted"));
}

#[test]
fn several_models_are_converted_at_once() {
    let work = Work::new();
    work.copy("tiny-bert-embed");
    let model = |name: &str, path: &str| {
        format!("  - {{name: {name}, path: {path}, task: semantic-similarity}}\n")
    };
    let models: Vec<_> = (0..5).map(|i| model(&format!("m{i}"), "tiny-bert-embed")).collect();
    let text = format!("models:\n{}{}", models.concat(), model("gone", "nowhere"));
    work.write("models.yaml", &text);
    let done = work.mlxq(&["convert", "--config", "models.yaml", "--jobs", "3"]);
    done.refused(3, &["Successful: 5 models", "Failed: 1", "`gone` was not converted"]);
    let weights = |i: usize| {
        let folder = format!("models/mlx_converted/m{i}-mlx-q8/model.safetensors");
        std::fs::read(work.path(&folder)).expect("weights")
    };
    assert!((1..5).all(|i| weights(i) == weights(0)));
}

#[test]
fn single_modules_are_quantized_as_the_user_says() {
    let work = Work::new();
    let source = fixture("tiny-bert-embed");
    let mut arguments = vec!["convert", "--hf-path", text(&source), "--mlx-path", "out"];
    arguments.extend(["--quant-predicate", "mixed_3_6", "--q-group-size", "32"]);
    arguments.extend(["--q-override", "word_embeddings=none", "--q-override", "query$=4:32:mxfp4"]);
    work.mlxq(&arguments).good();
    let config = json(&work.path("out/config.json"));
    let entry = |path: &str| config["quantization"][path].clone();
    let affine = |bits: u32| json!({"group_size": 32, "bits": bits, "mode": "affine"});
    assert_eq!(entry("encoder.layer.1.attention.self.key"), affine(3));
    assert_eq!(entry("embeddings.word_embeddings"), serde_json::Value::Null);
    let query = json!({"group_size": 32, "bits": 4, "mode": "mxfp4"});
    assert_eq!(entry("encoder.layer.0.attention.self.query"), query);
    let bad = [&arguments[..5], &["--q-override", "(=8"]].concat();
    work.mlxq(&bad).refused(2, &["override `(=8`"]);
    let clash = [&arguments[..7], &["--q-mode", "nvfp4"]].concat();
    work.mlxq(&clash).refused(2, &["mixed_3_6", "affine"]);
}

#[test]
fn a_type_without_a_layout_is_converted_by_shapes_and_said_so() {
    let work = Work::new();
    let model = work.copy("tiny-bert-embed");
    let mut config = json(&model.join("config.json"));
    config["model_type"] = json!("novel");
    work.write("tiny-bert-embed/config.json", config.to_string());
    let arguments = ["convert", "--hf-path", "tiny-bert-embed", "--mlx-path", "out"];
    let done = work.mlxq(&arguments).good();
    assert!(done.stderr.contains("`novel` has no layout of its own"), "{}", done.stderr);
    let index = json(&work.path("out/model.safetensors.index.json"));
    let names = index["weight_map"].as_object().expect("a map");
    assert!(names.contains_key("embeddings.word_embeddings.scales"));
    assert!(!names.contains_key("embeddings.LayerNorm.scales"));
}
