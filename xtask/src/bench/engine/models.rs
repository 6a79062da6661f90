//! The models, their conversions, and which engines each is compared with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::options::Options;
use crate::process::{command, run as run_command, say};
use crate::{fixtures, model, peers, places};

/// A model that engines are compared on.
struct Model {
    name: &'static str,
    /// Sentences of STS-B.
    texts: usize,
    /// Rows of 256 tokens.
    long_rows: usize,
    workloads: &'static [&'static str],
    /// Whether ONNX Runtime's optimizer knows its graph.
    onnx: bool,
}

const ALL: &[&str] = &["single", "stream", "sorted", "long"];
const SOME: &[&str] = &["single", "sorted", "long"];

const fn family(name: &'static str) -> Model {
    Model { name, texts: 64, long_rows: 8, workloads: SOME, onnx: false }
}

const MODELS: [Model; 9] = [
    Model { name: "all-MiniLM-L6-v2", texts: 512, long_rows: 64, workloads: ALL, onnx: true },
    Model { name: "bert-base", texts: 256, long_rows: 16, workloads: ALL, onnx: true },
    family("distilbert-base"),
    family("roberta-base"),
    family("mpnet-base"),
    family("mobilebert"),
    family("deberta-v3-base"),
    family("modernbert-base"),
    family("bart-base"),
];

/// The model whose 4-bit weights are compared with 8-bit ones, on single rows of so many tokens.
const FEWER_BITS: &str = "bert-base";
const TOKENS: [&str; 3] = ["tokens-1", "tokens-8", "tokens-32"];

/// Names of the models that `options` ask for.
///
/// # Errors
/// When one is unknown.
pub(super) fn chosen(options: &Options) -> Result<Vec<&'static str>> {
    let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
    if let Some(unknown) = options.models.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("`bench engine` has no model `{unknown}`; it has {}", names.join(", "));
    }
    let wanted =
        |name: &&str| options.models.is_empty() || options.models.iter().any(|x| x == name);
    Ok(names.into_iter().filter(wanted).collect())
}

/// The series of the driver's plan for the model `name`, whose conversions are put into `work`.
///
/// # Errors
/// When the model cannot be had or converted.
pub(super) fn series(
    name: &str,
    options: &Options,
    mlxq: &Path,
    work: &Path,
) -> Result<Vec<Value>> {
    let model = MODELS.iter().find(|model| model.name == name).context("the name was checked")?;
    let folder = folder(name)?;
    let eight = convert(mlxq, &folder, &converted(work, name, 8), 8)?;
    let mut engines: Vec<Value> = ["sdpa", "eager"]
        .into_iter()
        .map(|attention| engine(&format!("PyTorch f32 ({attention})"), "torch", &folder, attention))
        .collect();
    if model.onnx {
        engines.push(engine("ORT int8", "onnx", &folder, "plain"));
        engines.push(engine("ORT int8, fused", "onnx", &folder, "fused"));
    }
    for bits in ["32", "16", "8"] {
        let name = if bits == "32" { "mlxq f32".to_owned() } else { format!("mlxq A{bits}") };
        let mut native = engine(&name, "native", &eight, bits);
        native["same_weights"] = json!(true);
        engines.push(native);
    }
    let texts = if options.quick { model.texts / 4 } else { model.texts };
    let long_rows = if options.quick { model.long_rows / 4 } else { model.long_rows };
    let line = |name: &str, workloads: &[&str], engines: Vec<Value>, errors: bool| {
        json!({"name": name, "model": folder, "texts": texts, "long_rows": long_rows,
            "workloads": workloads, "engines": engines, "errors": errors})
    };
    let mut all = vec![line(name, model.workloads, engines, true)];
    if name == FEWER_BITS {
        let four = convert(mlxq, &folder, &converted(work, name, 4), 4)?;
        let engines = vec![
            engine("mlxq 8 bits", "native", &eight, "default"),
            engine("mlxq 4 bits", "native", &four, "default"),
        ];
        all.push(line(&format!("{name}, 4 bits against 8"), &TOKENS, engines, false));
    }
    Ok(all)
}

/// Bytes of the weights of `name` in 8 bits.
pub(super) fn file_bytes(work: &Path, name: &str) -> Option<f64> {
    let file = converted(work, name, 8).join("model.safetensors");
    Some(std::fs::metadata(file).ok()?.len() as f64)
}

/// The original of the model `name`, fetched or made where it is missing.
///
/// # Errors
/// When it can be neither.
pub(super) fn folder(name: &str) -> Result<PathBuf> {
    let minilm = places::cache()?.join("models/all-MiniLM-L6-v2");
    model::ensure(&minilm)?;
    match name {
        "all-MiniLM-L6-v2" => return Ok(minilm),
        "bert-base" => return fixtures::bert_base(),
        _ => {}
    }
    let folder = places::cache()?.join("models").join(name);
    // The script renames a complete folder to it.
    if !folder.join("config.json").is_file() {
        say(&format!("making a random {name} in {}", folder.display()));
        let mut make = command(peers::python()?, ["-m", "engine_speed.base_models", name]);
        make.arg(&folder).arg(&minilm).current_dir(places::root().join("peers"));
        run_command(&mut make)?;
    }
    Ok(folder)
}

fn converted(work: &Path, name: &str, bits: u8) -> PathBuf {
    work.join(format!("{name}-{bits}-bits"))
}

/// Converts `folder` to `target`.
///
/// # Errors
/// When the program fails.
pub(super) fn convert(mlxq: &Path, folder: &Path, target: &Path, bits: u8) -> Result<PathBuf> {
    let mut convert = command(mlxq, ["--quiet", "convert", "--q-bits", &bits.to_string()]);
    run_command(convert.arg("--hf-path").arg(folder).arg("--mlx-path").arg(target))?;
    Ok(target.to_owned())
}

fn engine(name: &str, kind: &str, model: &Path, setting: &str) -> Value {
    json!({"name": name, "kind": kind, "model": model, "setting": setting})
}
