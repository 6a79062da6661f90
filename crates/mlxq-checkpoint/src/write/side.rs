//! The files of a converted folder beside its weights.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::pretty;
use super::folder::StagedFolder;
use super::pooling::widened;
use crate::{CheckpointError, json};

/// A file of the converted folder, `/` between the parts of its name.
pub(crate) struct SideFile {
    name: String,
    content: Content,
}

enum Content {
    /// Made by us.
    Written(Vec<u8>),
    /// The source's, byte for byte.
    Copied(PathBuf),
}

impl SideFile {
    /// A file with that content.
    pub(crate) fn written(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), content: Content::Written(bytes) }
    }

    fn copied(name: &str, from: &Path) -> Self {
        Self { name: name.to_owned(), content: Content::Copied(from.to_owned()) }
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> Result<u64, CheckpointError> {
        match &self.content {
            Content::Written(bytes) => Ok(bytes.len() as u64),
            Content::Copied(from) => {
                Ok(std::fs::metadata(from).map_err(CheckpointError::io(from))?.len())
            }
        }
    }

    /// Puts it into the staging folder.
    pub(crate) fn place(&self, staged: &StagedFolder) -> Result<(), CheckpointError> {
        match &self.content {
            Content::Written(bytes) => staged.write(&self.name, bytes),
            Content::Copied(from) => staged.copy(from, &self.name),
        }
    }
}

/// Files that are copied wherever they exist: tokenizer, chat, generation and module settings.
const COPIED: [&str; 16] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
    "chat_template.jinja",
    "generation_config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
];

/// Files of a module's folder. A Dense module has weights of its own, which stay as they are: without
/// them the folder would give other vectors in clients that pass over what is missing.
const COPIED_OF_MODULES: [&str; 3] = ["config.json", "model.safetensors", "pytorch_model.bin"];

/// What the source `dir` gives to the converted folder as it is, and its Pooling settings widened.
///
/// # Errors
/// When the folder or the settings cannot be read.
pub(crate) fn copied_files(dir: &Path) -> Result<Vec<SideFile>, CheckpointError> {
    let mut files = Vec::new();
    for (name, path) in entries(dir)? {
        if path.is_file() && is_copied(&name) {
            files.push(SideFile::copied(&name, &path));
        } else if path.is_dir() && is_module(&name) {
            add_module(&name, &path, &mut files)?;
        }
    }
    Ok(files)
}

/// The entries of a folder whose names are text, sorted.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, CheckpointError> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(CheckpointError::io(dir))? {
        let entry = entry.map_err(CheckpointError::io(dir))?;
        if let Ok(name) = entry.file_name().into_string() {
            entries.push((name, entry.path()));
        }
    }
    entries.sort();
    Ok(entries)
}

fn add_module(module: &str, dir: &Path, files: &mut Vec<SideFile>) -> Result<(), CheckpointError> {
    for (file, path) in entries(dir)? {
        let name = format!("{module}/{file}");
        if !path.is_file() || !COPIED_OF_MODULES.contains(&file.as_str()) {
            continue;
        }
        if module.ends_with("_Pooling") && file == "config.json" {
            let union = Value::Object(widened(&json::read_object(&path)?));
            files.push(SideFile::written(&name, pretty(&union)));
        } else {
            files.push(SideFile::copied(&name, &path));
        }
    }
    Ok(())
}

fn is_copied(name: &str) -> bool {
    let licence = ["LICENSE", "NOTICE"].iter().any(|start| name.starts_with(start));
    let ending = [".tiktoken", ".py"].iter().any(|ending| name.ends_with(ending));
    COPIED.contains(&name) || licence || ending
}

/// Whether a folder is named like a sentence-transformers module: `1_Pooling`.
fn is_module(name: &str) -> bool {
    let number = name.split_once('_').map(|(number, _)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}
