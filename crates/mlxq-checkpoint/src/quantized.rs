//! Checkpoints that other tools have quantized: recognised by name, so that none is quantized twice.
//!
//! Names of methods are those of transformers (`quantizers/auto.py`), names of tensors those that the
//! tools write.

use serde_json::{Map, Value};

use crate::shown;
use crate::tensor::TensorInfo;

/// `quant_method` in a configuration, and what people call it.
const METHODS: [(&str, &str); 19] = [
    ("gptq", "GPTQ"),
    ("awq", "AWQ"),
    ("bitsandbytes", "bitsandbytes"),
    ("bitsandbytes_4bit", "bitsandbytes, 4 bits"),
    ("bitsandbytes_8bit", "bitsandbytes, 8 bits"),
    ("fp8", "fp8"),
    ("fbgemm_fp8", "fp8 of FBGEMM"),
    ("compressed-tensors", "compressed-tensors"),
    ("modelopt", "NVIDIA ModelOpt"),
    ("mxfp4", "mxfp4"),
    ("quanto", "Quanto"),
    ("hqq", "HQQ"),
    ("aqlm", "AQLM"),
    ("eetq", "EETQ"),
    ("torchao", "torchao"),
    ("auto-round", "AutoRound"),
    ("quark", "AMD Quark"),
    ("bitnet", "BitNet"),
    ("vptq", "VPTQ"),
];

/// Endings of tensors that only one tool writes, and the tool.
const ENDINGS: [(&str, &str); 15] = [
    (".g_idx", "GPTQ"),
    (".qweight", "GPTQ or AWQ"),
    (".qzeros", "GPTQ or AWQ"),
    (".absmax", "bitsandbytes, 4 bits"),
    (".quant_map", "bitsandbytes, 4 bits"),
    (".SCB", "bitsandbytes, 8 bits"),
    (".weight_scale_inv", "fp8"),
    (".weight_packed", "compressed-tensors"),
    (".weight_scale", "fp8 or compressed-tensors"),
    (".weight_scale_2", "NVIDIA ModelOpt"),
    ("_proj_blocks", "mxfp4"),
    (".W_q", "HQQ"),
    (".codebooks", "AQLM"),
    (".weight_scales", "EETQ"),
    (".weight._data", "Quanto"),
];

/// The tool that a configuration says has quantized its weights, and the key that says so.
pub(crate) fn by_config(config: &Map<String, Value>) -> Option<String> {
    let key = ["quantization_config", "compression_config"]
        .into_iter()
        .find(|key| config.get(*key).is_some_and(|block| !block.is_null()))?;
    let block = &config[key];
    let is_set = |key| block.get(key).and_then(Value::as_bool) == Some(true);
    let method = block.get("quant_method").and_then(Value::as_str);
    let known = METHODS.iter().find(|(name, _)| Some(*name) == method);
    let tool = match (known, method) {
        (Some((_, tool)), _) => (*tool).to_owned(),
        (None, Some(other)) => format!("method `{}`", shown(other)),
        (None, None) if key == "compression_config" => "compressed-tensors".to_owned(),
        (None, None) if is_set("load_in_4bit") => "bitsandbytes, 4 bits".to_owned(),
        (None, None) if is_set("load_in_8bit") => "bitsandbytes, 8 bits".to_owned(),
        (None, None) => "a method that it does not name".to_owned(),
    };
    Some(format!("{tool}: `{key}` in config.json"))
}

/// The tool that has quantized some of `tensors`, by their names, and the first of them.
pub(crate) fn by_tensors(tensors: &[TensorInfo]) -> Option<String> {
    // In the order of the endings: the most telling first.
    ENDINGS.iter().find_map(|(ending, tool)| {
        let first = tensors.iter().find(|info| info.name.ends_with(ending))?;
        Some(format!("{tool}: tensor `{}`", shown(&first.name)))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tensor::Dtype;

    #[test]
    fn configurations_name_their_tool() {
        for (config, word) in [
            (json!({"quantization_config": {"quant_method": "gptq", "bits": 4}}), "GPTQ"),
            (json!({"quantization_config": {"load_in_4bit": true}}), "bitsandbytes, 4"),
            (json!({"quantization_config": {"load_in_8bit": true}}), "bitsandbytes, 8"),
            (json!({"quantization_config": {"quant_method": "new\u{1b}"}}), "`new\\u{1b}`"),
            (json!({"quantization_config": {}}), "does not name"),
            (json!({"quantization_config": 1}), "does not name"),
            (json!({"compression_config": {}}), "compressed-tensors"),
        ] {
            let how = by_config(config.as_object().expect("an object")).expect("quantized");
            assert!(how.contains(word) && how.contains("config.json"), "{how}");
        }
        let float = json!({"quantization_config": null, "hidden_size": 1});
        assert_eq!(by_config(float.as_object().expect("an object")), None);
    }

    #[test]
    fn tensors_name_their_tool() {
        let info =
            |name: &str| TensorInfo { name: name.to_owned(), dtype: Dtype::U8, shape: vec![1] };
        for (name, tool) in [
            ("a.qweight", "GPTQ or AWQ"),
            ("a.weight.absmax", "bitsandbytes"),
            ("a.weight_scale_inv", "fp8"),
            ("a.weight_packed", "compressed-tensors"),
        ] {
            let how = by_tensors(&[info("a.weight"), info(name)]).expect("quantized");
            assert!(how.starts_with(tool) && how.contains(name), "{how}");
        }
        let gptq = by_tensors(&[info("a.qweight"), info("a.g_idx")]).expect("quantized");
        assert!(gptq.starts_with("GPTQ:"), "{gptq}");
        assert_eq!(by_tensors(&[info("a.weight"), info("a.scales"), info("a.biases")]), None);
    }
}
