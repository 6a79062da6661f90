//! The models, their conversions, and which engines each is compared with.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::options::Options;
use crate::process::{command, run as run_command, say};
use crate::{fixtures, model, peers, places};

/// A model that engines are compared on.
#[derive(Debug, Clone)]
struct Model {
    name: String,
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
/// Of models that take no 256 tokens.
const SHORT: &[&str] = &["single", "sorted"];

/// Random models in the full size of a family's base model.
const FAMILIES: [&str; 7] = [
    "distilbert-base",
    "roberta-base",
    "mpnet-base",
    "mobilebert",
    "deberta-v3-base",
    "modernbert-base",
    "bart-base",
];

/// The model whose 4-bit weights are compared with 8-bit ones, on single rows of so many tokens.
const FEWER_BITS: &str = "bert-base";
const TOKENS: [&str; 3] = ["tokens-1", "tokens-8", "tokens-32"];

/// All models: two that ONNX Runtime's optimizer knows, the families, and the developers' small ones.
fn all() -> Vec<Model> {
    let model = |name: &str, texts, long_rows, workloads, onnx| Model {
        name: name.to_owned(),
        texts,
        long_rows,
        workloads,
        onnx,
    };
    let mut all =
        vec![model("all-MiniLM-L6-v2", 512, 64, ALL, true), model("bert-base", 256, 16, ALL, true)];
    all.extend(FAMILIES.map(|name| model(name, 64, 8, SOME, false)));
    all.extend(places::shared_models().iter().map(|name| model(name, 64, 0, SHORT, false)));
    all
}

/// Names of the models that `options` ask for.
///
/// # Errors
/// When one is unknown.
pub(super) fn chosen(options: &Options) -> Result<Vec<String>> {
    let names: Vec<String> = all().into_iter().map(|model| model.name).collect();
    if let Some(unknown) = options.models.iter().find(|name| !names.contains(name)) {
        bail!("`bench engine` has no model `{unknown}`; it has {}", names.join(", "));
    }
    let wanted = |name: &String| options.models.is_empty() || options.models.contains(name);
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
    let model = all().into_iter().find(|model| model.name == name);
    let model = model.context("the name was checked")?;
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
    if !FAMILIES.contains(&name) {
        let shared = places::shared().context("the developers' models are not here")?;
        return Ok(shared.join("models").join(name));
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
    if folder.join("TRAINING.json").is_file() {
        // The developers' small models are too narrow for groups of 64.
        convert.args(["--q-group-size", "32"]);
    }
    run_command(convert.arg("--hf-path").arg(folder).arg("--mlx-path").arg(target))?;
    Ok(target.to_owned())
}

fn engine(name: &str, kind: &str, model: &Path, setting: &str) -> Value {
    json!({"name": name, "kind": kind, "model": model, "setting": setting})
}
