//! The parsers over bytes, for the fuzz targets and mutation tests; no interface for others.
//!
//! Each returns a text of what it found or the error, so that a caller can demand the same twice.

use std::fmt::Debug;
use std::path::Path;

use serde_json::Value;

use crate::read::{Index, Input, Safetensors, TorchFile, describe_pickle};
use crate::tensor::TensorSource;
use crate::{CheckpointError, Quantization, json, quantized};

/// Tensors of which the bytes are read too.
const READ: usize = 8;

/// A whole safetensors file.
pub fn safetensors(bytes: &[u8]) -> String {
    shown(Safetensors::read(input(bytes)).and_then(|file| contents(&file, file.notes())))
}

/// A whole file of PyTorch, of either format.
pub fn torch(bytes: &[u8]) -> String {
    shown(TorchFile::read(input(bytes)).and_then(|file| contents(&file, file.notes())))
}

/// A pickle and the state dict in it.
pub fn pickle(bytes: &[u8]) -> String {
    shown(describe_pickle(bytes))
}

/// A `config.json`, and an index of shards.
pub fn config(bytes: &[u8]) -> String {
    let object = match json::parse(bytes) {
        Ok(Value::Object(map)) => map,
        other => return format!("{other:?}"),
    };
    let index = Index::parse(Path::new("index"), &object);
    let quantization = Quantization::read(&object);
    format!("{} {quantization:?} {:?}", shown(index), quantized::by_config(&object))
}

fn input(bytes: &[u8]) -> Input {
    Input::memory("fuzzed", bytes.to_vec())
}

fn shown<T: Debug, E: Debug>(result: Result<T, E>) -> String {
    format!("{result:?}")
}

/// Notes, tensors and the bytes of the first, read whole and in two parts.
fn contents(source: &dyn TensorSource, notes: &[String]) -> Result<String, CheckpointError> {
    let mut all = format!("{notes:?} {:?}", source.tensors());
    let (mut whole, mut part) = (Vec::new(), Vec::new());
    for info in source.tensors().iter().take(READ) {
        if let Err(error) = source.read(&info.name, &mut whole) {
            all.push_str(&error.to_string());
            continue;
        }
        assert_eq!(whole.len(), info.bytes());
        let middle = whole.len() / 2;
        for (range, expected) in
            [(0..middle, &whole[..middle]), (middle..whole.len(), &whole[middle..])]
        {
            source.read_part(&info.name, range, &mut part)?;
            assert_eq!(part, expected, "{info:?}");
        }
        all.push_str(&format!("{:?}", &whole[..whole.len().min(64)]));
    }
    Ok(all)
}
