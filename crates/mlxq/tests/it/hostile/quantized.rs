//! Item 6o: what another tool has quantized is refused by name, and never quantized again.

use serde_json::{Value, json};

use super::{Case, SAFETENSORS, check_all, config};
use crate::forge::safetensors;

const ADVICE: &str = "convert the original checkpoint";

fn by_config(item: &'static str, block: Value, tool: &'static str) -> Case {
    let bytes = config(|config| config["quantization_config"] = block);
    Case::new(item, "config.json", bytes, &["model", "quantized already", tool, ADVICE])
}

fn by_tensor(name: &'static str, tool: &'static str) -> Case {
    let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}}}"#);
    let words = ["model", "quantized already", name, tool, ADVICE];
    Case { item: name, files: vec![(SAFETENSORS, safetensors(&header, 4))], words: words.to_vec() }
}

#[test]
fn by_the_configuration() {
    let method = |name: &str| json!({"quant_method": name, "bits": 4});
    check_all(vec![
        by_config("6o GPTQ", method("gptq"), "GPTQ"),
        by_config("6o AWQ", method("awq"), "AWQ"),
        by_config("6o bitsandbytes", method("bitsandbytes"), "bitsandbytes"),
        by_config("6o bitsandbytes, 4 bits", json!({"load_in_4bit": true}), "bitsandbytes, 4 bits"),
        by_config("6o bitsandbytes, 8 bits", json!({"load_in_8bit": true}), "bitsandbytes, 8 bits"),
        by_config("6o fp8", method("fp8"), "fp8"),
        by_config("6o compressed-tensors", method("compressed-tensors"), "compressed-tensors"),
        by_config("6o ModelOpt", method("modelopt"), "ModelOpt"),
        by_config("6o mxfp4", method("mxfp4"), "mxfp4"),
        by_config("6o Quanto", method("quanto"), "Quanto"),
        by_config("6o HQQ", method("hqq"), "HQQ"),
        by_config("6o AQLM", method("aqlm"), "AQLM"),
        by_config("6o EETQ", method("eetq"), "EETQ"),
        by_config("6o torchao", method("torchao"), "torchao"),
        by_config("6o one that is new", method("zip-bits"), "`zip-bits`"),
        by_config("6o none that is named", json!([]), "does not name"),
    ]);
}

#[test]
fn by_the_tensors() {
    check_all(vec![
        by_tensor("encoder.layer.0.output.dense.qweight", "GPTQ or AWQ"),
        by_tensor("encoder.layer.0.output.dense.g_idx", "GPTQ"),
        by_tensor("encoder.layer.0.output.dense.weight.absmax", "bitsandbytes"),
        by_tensor("encoder.layer.0.output.dense.SCB", "bitsandbytes"),
        by_tensor("encoder.layer.0.output.dense.weight_scale_inv", "fp8"),
        by_tensor("encoder.layer.0.output.dense.weight_packed", "compressed-tensors"),
        by_tensor("mlp.experts.gate_up_proj_blocks", "mxfp4"),
        by_tensor("encoder.layer.0.output.dense.W_q", "HQQ"),
    ]);
}
