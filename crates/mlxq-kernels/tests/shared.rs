//! The developers' own golden vectors of MLX, where `MLXQ_SHARED` names the folder that has them.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::{Encoded, Format};
use serde_json::Value;

/// Bytes of the numbers in `hex`, each of `digits` digits, most significant first.
fn raw(hex: &str, digits: usize) -> Vec<u8> {
    let digit = |letter: u8| (letter as char).to_digit(16).expect("a digit") as u8;
    let bytes: Vec<u8> =
        hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    bytes.chunks(digits / 2).flat_map(|number| number.iter().rev().copied()).collect()
}

/// The numbers of a case: a linear congruential generator, cubed.
fn generated(seed: u64) -> Vec<f32> {
    let mut state = seed as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let t = ((state >> 8) as f32 - 8_388_608.0) / 8_388_608.0;
        t * t * t * 0.125
    };
    (0..256).map(|_| next()).collect()
}

fn check(case: &Value, name: &str, float: Float, input: &[u8], has_all_finite: bool) {
    let text = |key: &str| case[key].as_str().unwrap_or_default();
    let number = |key: &str| case[key].as_u64();
    if number("bits") == Some(1) || !case["global_scale"].is_null() {
        return;
    }
    let mode = if text("mode").is_empty() { "affine" } else { text("mode") };
    let group_size = number("group").map(|size| size as usize);
    let format = Format::new(mode, number("bits").map(|bits| bits as u32), group_size)
        .expect("a format that MLX has");
    let mut encoded = Encoded::default();
    assert_eq!(format.encode(float, float, input, &mut encoded), has_all_finite, "{name}");
    assert_eq!(encoded.words, raw(text("words"), 8), "words of {name} {format:?}");
    if mode == "affine" {
        let numbers = |bytes: &[u8]| {
            let mut numbers = vec![0.0f32; bytes.len() / float.size()];
            float.decode(bytes, &mut numbers);
            numbers.into_iter().map(|x| if x.is_nan() { 1 } else { x.to_bits() }).collect()
        };
        for (ours, key) in [(&encoded.scales, "scales"), (&encoded.biases, "biases")] {
            let [ours, theirs]: [Vec<u32>; 2] =
                [numbers(ours), numbers(&raw(text(key), 2 * float.size()))];
            assert_eq!(ours, theirs, "{key} of {name} {format:?}");
        }
    } else {
        assert_eq!(encoded.scales, raw(text("scales"), 2), "scales of {name} {format:?}");
    }
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn say_skipped() {
    eprintln!("skipped: MLXQ_SHARED names no folder");
}

#[test]
fn shared_golden_vectors_of_mlx() {
    let shared = std::env::var_os("MLXQ_SHARED").map(std::path::PathBuf::from);
    let Some(shared) = shared.filter(|shared| shared.is_dir()) else { return say_skipped() };
    let path = shared.join("reference/mlx-quantization-golden.json");
    let text = std::fs::read_to_string(path).expect("the vectors");
    let golden: Value = serde_json::from_str(&text).expect("JSON");
    for (name, float) in [("f32", Float::F32), ("f16", Float::F16), ("bf16", Float::BF16)] {
        let cases = golden["lcg_cases"].as_array().expect("cases").iter();
        for case in cases.filter(|case| case["dtype"] == name) {
            let mut input = Vec::new();
            float.encode(&generated(case["seed"].as_u64().expect("a seed")), &mut input);
            check(case, name, float, &input, true);
        }
        let edges = &golden["edges"][name];
        let input = raw(edges["input"].as_str().expect("hex"), 2 * float.size());
        let cases = ["affine", "fp"].map(|key| edges[key].as_array().expect("cases"));
        for case in cases.into_iter().flatten() {
            check(case, name, float, &input, false);
        }
    }
}
