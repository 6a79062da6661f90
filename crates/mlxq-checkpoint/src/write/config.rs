//! `config.json` and the index of a converted folder.

use std::collections::BTreeMap;

use mlxq_kernels::float::Float;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::safetensors::SingleFile;
use crate::Purpose;
use crate::layout::Layout;
use crate::recipe::ConversionPlan;

/// The source's configuration with what the MLX clients need: both quantization blocks, the new
/// dtype where one was stated, and the base class for embeddings; keys sorted.
pub(crate) fn converted_config(
    source: &Map<String, Value>,
    layout: &Layout,
    plan: &ConversionPlan,
    purpose: Purpose,
) -> Value {
    let mut config: BTreeMap<String, Value> =
        source.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    config.remove("_name_or_path");
    let block = json!({
        "group_size": plan.format.group_size(),
        "bits": plan.format.bits(),
        "mode": plan.format.mode(),
    });
    config.insert("quantization".to_owned(), block.clone());
    config.insert("quantization_config".to_owned(), block);
    for key in ["dtype", "torch_dtype"] {
        if config.contains_key(key) {
            config.insert(key.to_owned(), float_name(plan).into());
        }
    }
    if purpose == Purpose::Embedding {
        config.insert("architectures".to_owned(), json!([layout.base_class]));
    }
    Value::Object(config.into_iter().collect())
}

/// The float format of most planned tensors, as configurations name it.
pub(crate) fn float_name(plan: &ConversionPlan) -> &'static str {
    match plan.tensors.first().map(|tensor| tensor.float) {
        Some(Float::F32) => "float32",
        Some(Float::BF16) => "bfloat16",
        Some(Float::F16) | None => "float16",
    }
}

/// `model.safetensors.index.json`: sizes without headers, tensors sorted.
pub(crate) fn index(files: &[SingleFile], parameters: usize) -> Value {
    let mut map = BTreeMap::new();
    let mut total = 0;
    for file in files {
        for info in &file.tensors {
            map.insert(info.name.clone(), file.name.clone());
            total += info.bytes();
        }
    }
    json!({
        "metadata": {"total_size": total, "total_parameters": parameters},
        "weight_map": map,
    })
}

/// JSON with an indent of four spaces, as the MLX converters write it.
pub(crate) fn pretty(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(b"    ");
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter));
    written.expect("a JSON value is written to memory without errors");
    bytes
}
