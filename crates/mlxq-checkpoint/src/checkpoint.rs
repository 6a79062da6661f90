//! A model folder: its configuration and its tensors.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use mlxq_kernels::quant::Format;
use serde_json::{Map, Value};

use crate::read::{Shards, weight_files};
use crate::tensor::{TensorBytes, TensorInfo, TensorSource};
use crate::{CheckpointError, json, quantized};

/// What a checkpoint is for, which decides the names and heads of the converted folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Vectors for texts.
    Embedding,
    /// Scores of a classification head.
    SequenceClassification,
}

/// A folder with `config.json` and weight files, original or converted.
pub struct Checkpoint {
    dir: PathBuf,
    config: Map<String, Value>,
    model_type: String,
    quantization: Option<Quantization>,
    tensors: Shards,
}

impl Checkpoint {
    /// Opens the folder `dir`; no tensor is read yet.
    ///
    /// # Errors
    /// When the configuration or a weight file is missing or wrong, or another tool has quantized the
    /// weights.
    pub fn open(dir: &Path) -> Result<Self, CheckpointError> {
        let path = dir.join("config.json");
        let config = json::read_config(&path)?;
        let refuse = |reason: &str| CheckpointError::file(&path, reason);
        let model_type = config.get("model_type").and_then(Value::as_str);
        let model_type = model_type.ok_or_else(|| refuse("has no text `model_type`"))?.to_owned();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if model_type.is_empty() || !model_type.chars().all(plain) {
            let shown = model_type.escape_debug();
            return Err(refuse(&format!("`model_type` is `{shown}`, which is no name of a type")));
        }
        let quantization = Quantization::read(&config).map_err(|reason| refuse(&reason))?;
        let already = |how| CheckpointError::AlreadyQuantized { path: dir.to_owned(), how };
        // MLX's own block, which clients want under both names, explains itself.
        let is_original = quantization.is_none();
        if let Some(how) = quantized::by_config(&config).filter(|_| is_original) {
            return Err(already(how));
        }
        let tensors = Shards::open(dir)?;
        if let Some(how) = quantized::by_tensors(tensors.tensors()).filter(|_| is_original) {
            return Err(already(how));
        }
        Ok(Self { dir: dir.to_owned(), tensors, config, model_type, quantization })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The object of `config.json`.
    pub fn config(&self) -> &Map<String, Value> {
        &self.config
    }

    /// Refuses a model that comes with code of its own: what that computes nobody knows without
    /// running it, which is never done. Decoders are excepted by their callers, for what mlx_lm
    /// makes of their types is known.
    ///
    /// # Errors
    /// When the configuration has an `auto_map`.
    pub(crate) fn refuse_own_code(&self) -> Result<(), CheckpointError> {
        if !self.config.contains_key("auto_map") {
            return Ok(());
        }
        let reason = "`auto_map`: the model needs code of its own, which is never run";
        Err(CheckpointError::file(&self.dir.join("config.json"), reason))
    }

    /// The configuration's `model_type`.
    pub fn model_type(&self) -> &str {
        &self.model_type
    }

    /// How the weights are packed; `None` for an original checkpoint.
    pub fn quantization(&self) -> Option<&Quantization> {
        self.quantization.as_ref()
    }

    /// A classification head by `architectures`, unless the folder has sentence-transformers'
    /// `modules.json`; else embeddings.
    pub fn purpose(&self) -> Purpose {
        let architectures = self.config.get("architectures").and_then(Value::as_array);
        let names = architectures.into_iter().flatten().filter_map(Value::as_str);
        let mut names = names.filter(|name| name.ends_with("ForSequenceClassification"));
        if !self.dir.join("modules.json").is_file() && names.next().is_some() {
            Purpose::SequenceClassification
        } else {
            Purpose::Embedding
        }
    }

    /// What is odd but harmless in the weight files and their index, for warnings.
    pub fn notes(&self) -> &[String] {
        self.tensors.notes()
    }

    /// The weight files with their sizes in bytes.
    ///
    /// # Errors
    /// When a file's size cannot be read.
    pub fn weight_files(&self) -> Result<Vec<(PathBuf, u64)>, CheckpointError> {
        let size = |path: PathBuf| -> Result<_, CheckpointError> {
            let bytes = std::fs::metadata(&path).map_err(CheckpointError::io(&path))?.len();
            Ok((path, bytes))
        };
        weight_files(&self.dir)?.into_iter().map(size).collect()
    }
}

impl TensorSource for Checkpoint {
    fn tensors(&self) -> &[TensorInfo] {
        self.tensors.tensors()
    }

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.find(name)
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        self.tensors.read_part(name, part, buffer)
    }

    fn bytes(&self, name: &str, part: Range<usize>) -> Result<TensorBytes, CheckpointError> {
        self.tensors.bytes(name, part)
    }
}

/// The `quantization` block of a converted folder's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantization {
    default: Format,
    /// Module path → its own format; `None` for a module kept in float.
    modules: BTreeMap<String, Option<Format>>,
}

impl Quantization {
    /// The format of the module at `path`, in the checkpoint's own names; `None` if kept in float.
    pub fn module(&self, path: &str) -> Option<Format> {
        self.modules.get(path).copied().unwrap_or(Some(self.default))
    }

    /// The format of all modules without an entry of their own.
    pub fn default(&self) -> Format {
        self.default
    }

    /// Whether the module at `path` has an entry of its own.
    pub fn has_entry(&self, path: &str) -> bool {
        self.modules.contains_key(path)
    }

    /// The block of `config`, if there is one.
    ///
    /// # Errors
    /// When it is no format that exists.
    pub(crate) fn read(config: &Map<String, Value>) -> Result<Option<Self>, String> {
        let Some(block) = config.get("quantization").filter(|block| !block.is_null()) else {
            return Ok(None);
        };
        let block = block.as_object().ok_or("`quantization` is no object")?;
        let default = format(block).map_err(|reason| format!("`quantization`: {reason}"))?;
        let mut modules = BTreeMap::new();
        for (path, entry) in block {
            let own = match entry {
                Value::Bool(false) => None,
                Value::Object(entry) => {
                    let own = format(entry);
                    Some(own.map_err(|reason| format!("`quantization`: `{path}`: {reason}"))?)
                }
                _ => continue,
            };
            modules.insert(path.clone(), own);
        }
        Ok(Some(Self { default, modules }))
    }
}

/// The format of an object with `bits`, `group_size` and `mode`.
fn format(entry: &Map<String, Value>) -> Result<Format, String> {
    let mode = match entry.get("mode") {
        None | Some(Value::Null) => "affine",
        Some(Value::String(mode)) => mode,
        Some(mode) => return Err(format!("`mode` is {mode}, expected a text")),
    };
    let number = |key: &str| {
        let value = entry.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let shown = || entry.get(key).map_or("nothing".to_owned(), Value::to_string);
        value.ok_or_else(|| format!("`{key}` is {}, expected a number", shown()))
    };
    Format::new(mode, Some(number("bits")?), Some(number("group_size")? as usize))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn affine(bits: u32, group_size: usize) -> Option<Format> {
        Format::new("affine", Some(bits), Some(group_size)).ok()
    }

    fn read(config: Value) -> Result<Option<Quantization>, String> {
        Quantization::read(config.as_object().expect("an object"))
    }

    #[test]
    fn entries_replace_the_default() {
        let config = json!({"quantization": {"group_size": 64, "bits": 8, "mode": "affine",
            "a.b": {"group_size": 32, "bits": 4}, "c": false}});
        let quantization = read(config).expect("good").expect("quantized");
        assert_eq!(quantization.module("x"), affine(8, 64));
        assert_eq!(quantization.module("a.b"), affine(4, 32));
        assert_eq!(quantization.module("c"), None);
        assert_eq!(read(json!({})).expect("good"), None);
    }

    #[test]
    fn formats_that_do_not_exist_are_refused() {
        for config in [
            json!({"quantization": {"group_size": 64, "bits": 7}}),
            json!({"quantization": {"group_size": 48, "bits": 8}}),
            json!({"quantization": {"bits": 8}}),
            json!({"quantization": {"group_size": 64, "bits": 8, "a": {"bits": 8}}}),
            json!({"quantization": {"group_size": 64, "bits": 4, "mode": "mxfp4"}}),
            json!({"quantization": {"group_size": 32, "bits": 4, "mode": "nf4"}}),
        ] {
            assert!(read(config.clone()).is_err(), "{config}");
        }
    }
}
