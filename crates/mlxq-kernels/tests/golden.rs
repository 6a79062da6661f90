//! Bits of our quantization against those of `mx.quantize` and `mx.dequantize`.
//!
//! `fixtures/mlx-quantize.json` was written by mlx itself: see `peers/golden_quantize.py`.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::{Format, Scales};
use serde_json::Value;

fn integers(value: &Value) -> Vec<u32> {
    let items = value.as_array().expect("an array");
    items.iter().map(|item| item.as_u64().expect("an integer") as u32).collect()
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

fn float(name: &str) -> Float {
    match name {
        "f32" => Float::F32,
        "f16" => Float::F16,
        "bf16" => Float::BF16,
        other => panic!("unknown float {other}"),
    }
}

#[test]
fn words_scales_biases_and_restored_numbers_are_those_of_mlx() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/mlx-quantize.json");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 3 * (6 * 3 + 3));
    for case in cases {
        let text = |key: &str| case[key].as_str().expect("a text");
        let number = |key: &str| case.get(key).map(|value| value.as_u64().expect("a number"));
        let float = float(text("float"));
        let group_size = number("group_size").map(|size| size as usize);
        let format = Format::new(text("mode"), number("bits").map(|bits| bits as u32), group_size)
            .expect("a format that MLX has");
        let inputs = integers(&golden["inputs"][text("float")]);
        let input: Vec<f32> = inputs.into_iter().map(f32::from_bits).collect();
        let what = format!("{float:?} {format:?}");

        let packed = format.quantize(float, &input);
        match &packed.scales {
            Scales::Affine { scales, biases } => {
                assert_eq!(bits(scales), integers(&case["scales"]), "scales of {what}");
                assert_eq!(bits(biases), integers(&case["biases"]), "biases of {what}");
            }
            Scales::Floating(scales) => {
                let scales: Vec<u32> = scales.iter().map(|byte| u32::from(*byte)).collect();
                assert_eq!(scales, integers(&case["scales"]), "scales of {what}");
            }
        }
        assert_eq!(packed.words, integers(&case["words"]), "words of {what}");

        let mut restored = vec![0.0; input.len()];
        packed.restore(float, 0, &mut restored);
        let sum: u64 = restored.iter().map(|number| u64::from(number.to_bits())).sum();
        assert_eq!(Some(sum), number("restored_sum"), "restored numbers of {what}");
    }
}
