//! `config.json` and the index of a converted folder.

use std::collections::BTreeMap;

use mlxq_kernels::quant::Format;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};

use super::keys::{add_keys, add_rope_keys};
use super::safetensors::SingleFile;
use crate::Purpose;
use crate::layout::{Kind, Layout};
use crate::recipe::ConversionPlan;

/// What the folder's configuration follows from, beside the source's own.
pub(crate) struct ConfigContext<'a> {
    pub(crate) layout: Option<&'a Layout>,
    pub(crate) plan: &'a ConversionPlan,
    pub(crate) purpose: Purpose,
    /// The object of the source's `generation_config.json`, whose `eos_token_id` goes before.
    pub(crate) generation: Option<Map<String, Value>>,
    /// The mode of the source's `1_Pooling`.
    pub(crate) pooling: Option<String>,
}

/// The source's configuration with what the MLX clients need: both quantization blocks, the new
/// dtype where one was stated, older keys, and the base class for embeddings; keys sorted.
pub(crate) fn converted_config(source: &Map<String, Value>, context: &ConfigContext) -> Value {
    let mut config = source.clone();
    for key in ["_name_or_path", "quantization", "quantization_config"] {
        config.remove(key);
    }
    if let Some(float) = context.plan.float() {
        for key in ["dtype", "torch_dtype"] {
            if config.contains_key(key) {
                config.insert(key.to_owned(), float.name().into());
            }
        }
    }
    match context.layout.map(|layout| layout.kind) {
        Some(Kind::Encoder { base_class, .. }) => {
            if context.purpose == Purpose::Embedding {
                config.insert("architectures".to_owned(), json!([base_class]));
            }
        }
        Some(Kind::Decoder) | None => adapt_decoder(&mut config, context),
    }
    if let Some(block) = quantization(context.plan) {
        config.insert("quantization".to_owned(), block.clone());
        config.insert("quantization_config".to_owned(), block);
    }
    if let Some(layout) = context.layout {
        add_keys(&mut config, layout.keys, context.pooling.as_deref());
    }
    config.sort_keys();
    Value::Object(config)
}

/// What mlx_lm does to a decoder's configuration, and the keys that it reads in their older form.
fn adapt_decoder(config: &mut Map<String, Value>, context: &ConfigContext) {
    config.remove("vision_config");
    let end = context.generation.as_ref().and_then(|generation| generation.get("eos_token_id"));
    if let Some(end) = end.filter(|end| !end.is_null()) {
        config.insert("eos_token_id".to_owned(), end.clone());
    }
    if context.plan.format.is_some() {
        add_rope_keys(config);
    }
}

/// The block that says how modules are packed: the default, then those that differ, complete.
fn quantization(plan: &ConversionPlan) -> Option<Value> {
    let entry = |format: &Format| {
        json!({
            "group_size": format.group_size(),
            "bits": format.bits(),
            "mode": format.mode(),
        })
    };
    let mut block = entry(&plan.format?);
    for (path, format) in plan.entries() {
        block[path] = entry(&format);
    }
    Some(block)
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
