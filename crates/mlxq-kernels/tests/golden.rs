//! Bits of our affine quantization against those of `mx.quantize` and `mx.dequantize`.
//!
//! `fixtures/mlx-affine.json` was written by mlx itself: see `peers/golden_affine.py`.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Affine;
use serde_json::Value;

fn integers(value: &Value) -> Vec<u32> {
    let items = value.as_array().expect("an array");
    items.iter().map(|item| item.as_u64().expect("an integer") as u32).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    integers(value).into_iter().map(f32::from_bits).collect()
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
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/mlx-affine.json");
    let text = std::fs::read_to_string(path).expect("the fixture");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 54);
    for case in cases {
        let name = case["float"].as_str().expect("float");
        let number = |key: &str| case[key].as_u64().expect("a number");
        let affine = Affine::new(number("bits") as u32, number("group_size") as usize)
            .expect("a format that MLX has");
        let input = numbers(&golden["inputs"][name]);
        let groups = input.len() / affine.group_size();
        let mut words = vec![0; affine.words(input.len())];
        let (mut scales, mut biases) = (vec![0.0; groups], vec![0.0; groups]);
        affine.quantize(float(name), &input, &mut words, &mut scales, &mut biases);
        let what = format!("{name} {affine:?}");
        assert_eq!(bits(&scales), integers(&case["scales"]), "scales of {what}");
        assert_eq!(bits(&biases), integers(&case["biases"]), "biases of {what}");
        assert_eq!(words, integers(&case["words"]), "words of {what}");

        let mut restored = vec![0.0; input.len()];
        affine.dequantize(float(name), &words, &scales, &biases, &mut restored);
        let sum: u64 = restored.iter().map(|number| u64::from(number.to_bits())).sum();
        assert_eq!(sum, number("restored_sum"), "restored numbers of {what}");
    }
}
