//! Bits of our quantization and casts against those of `mx.quantize`, `mx.dequantize` and `astype`.
//!
//! `fixtures/mlx-quantize.json` was written by mlx itself: see `peers/golden_quantize.py`.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::{Encoded, Format};
use serde_json::Value;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("a text `{key}` in {value}"))
}

fn float(name: &str) -> Float {
    match name {
        "f32" => Float::F32,
        "f16" => Float::F16,
        "bf16" => Float::BF16,
        other => panic!("unknown float {other}"),
    }
}

/// The bytes that stand in base64 under `key`.
fn raw(value: &Value, key: &str) -> Vec<u8> {
    let digit = |letter: &u8| match letter {
        b'A'..=b'Z' => u32::from(letter - b'A'),
        b'a'..=b'z' => u32::from(letter - b'a') + 26,
        b'0'..=b'9' => u32::from(letter - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let letters = text(value, key).trim_end_matches('=').as_bytes();
    let mut bytes = Vec::new();
    for four in letters.chunks(4) {
        let bits = four.iter().fold(0, |bits, letter| bits << 6 | digit(letter));
        let bits = bits << (6 * (4 - four.len()) + 8);
        bytes.extend_from_slice(&bits.to_be_bytes()[..four.len() * 3 / 4]);
    }
    bytes
}

/// FNV-1a, in the digits of the fixture.
fn fnv(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The numbers of `bytes` as f32 bits; all NaNs are one.
fn bits(float: Float, bytes: &[u8]) -> Vec<u32> {
    let mut numbers = vec![0.0f32; bytes.len() / float.size()];
    float.decode(bytes, &mut numbers);
    let bits = |x: f32| if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() };
    numbers.into_iter().map(bits).collect()
}

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/mlx-quantize.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the fixture")).expect("JSON")
}

/// The fixture's cases with their names, formats and inputs.
fn for_each_case(mut check: impl FnMut(&str, &Value, Format, [Float; 2], &[u8])) {
    let golden = golden();
    let cases = golden["cases"].as_array().expect("cases");
    assert_eq!(cases.len(), 3 * (6 * 3 + 3) + 6 * 2);
    for case in cases {
        let number = |key: &str| case.get(key).map(|value| value.as_u64().expect("a number"));
        let bits = number("bits").map(|bits| bits as u32);
        let format =
            Format::new(text(case, "mode"), bits, number("group_size").map(|n| n as usize))
                .expect("a format that MLX has");
        let floats = ["from", "to"].map(|key| float(text(case, key)));
        let input = raw(&golden["inputs"], text(case, "from"));
        check(&format!("{floats:?} {format:?}"), case, format, floats, &input);
    }
}

#[test]
fn words_scales_biases_and_restored_numbers_are_those_of_mlx() {
    let mut encoded = Encoded::default();
    for_each_case(|what, case, format, [from, to], input| {
        let finite = format.encode(from, to, input, &mut encoded);
        assert_eq!(finite, !text(case, "finite_rows").contains('0'), "{what}");
        let Encoded { words, scales, biases } = &encoded;
        if case.get("words").is_some() {
            assert_eq!(*words, raw(case, "words"), "words of {what}");
        } else {
            assert_eq!(fnv(words), text(case, "words_fnv"), "words of {what}");
        }
        let kind = if let Format::Affine(_) = format { Some(to) } else { None };
        let same = |ours: &[u8], key: &str| match kind {
            Some(to) => assert_eq!(bits(to, ours), bits(to, &raw(case, key)), "{key} of {what}"),
            None => assert_eq!(ours, raw(case, key), "{key} of {what}"),
        };
        same(scales, "scales");
        if kind.is_some() {
            same(biases, "biases");
        } else {
            assert!(biases.is_empty(), "biases of {what}");
        }
        let mut restored = Vec::new();
        format.decode(to, words, scales, biases, &mut restored);
        let restored: Vec<u8> =
            bits(to, &restored).iter().flat_map(|bits| bits.to_le_bytes()).collect();
        assert_eq!(fnv(&restored), text(case, "restored_fnv"), "restored numbers of {what}");
    });
}

/// Rows of 128 numbers are no whole block, and the fixture says of each whether all are finite.
#[test]
fn rows_alone_are_rows_of_the_whole() {
    let (mut whole, mut row) = (Encoded::default(), Encoded::default());
    for_each_case(|what, case, format, [from, to], input| {
        let _ = format.encode(from, to, input, &mut whole);
        let mut parts = Encoded::default();
        let rows = input.chunks_exact(128 * from.size());
        for (bytes, finite) in rows.zip(text(case, "finite_rows").chars()) {
            assert_eq!(format.encode(from, to, bytes, &mut row), finite == '1', "{what}");
            parts.words.extend_from_slice(&row.words);
            parts.scales.extend_from_slice(&row.scales);
            parts.biases.extend_from_slice(&row.biases);
        }
        assert!(parts == whole, "{what}");
    });
}

/// All numbers of the halves and a choice of f32, NaNs with their bits.
#[test]
fn casts_are_those_of_mlx() {
    let golden = golden();
    let halves: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let f32s = raw(&golden, "cast_f32");
    let casts = golden["casts"].as_array().expect("casts");
    assert_eq!(casts.len(), 9);
    let mut out = Vec::new();
    for cast in casts {
        let [from, to] = ["from", "to"].map(|key| float(text(cast, key)));
        let bytes = if from == Float::F32 { &f32s } else { &halves };
        assert!(!from.convert(to, bytes, &mut out), "not all is finite");
        assert_eq!(fnv(&out), text(cast, "fnv"), "{from:?} to {to:?}");
    }
}

#[test]
fn finite_is_meant_after_rounding() {
    let bytes = [65519.0f32, -65520.0].map(f32::to_le_bytes);
    let mut out = Vec::new();
    assert!(Float::F32.convert(Float::F32, bytes.as_flattened(), &mut out));
    assert!(Float::F32.convert(Float::BF16, bytes.as_flattened(), &mut out));
    assert!(Float::F32.convert(Float::F16, &bytes[0], &mut out));
    assert!(!Float::F32.convert(Float::F16, bytes.as_flattened(), &mut out));
    assert!(Float::F16.convert(Float::F32, &[], &mut out) && out.is_empty());
}
