//! Good files with one thing changed: every reader returns, says the same twice, and never takes the
//! start of a file for the whole.

mod forge;

use forge::pickle::*;
use forge::{header_of, safetensors, zip};
use mlxq_checkpoint::fuzzing;

type Reader = fn(&[u8]) -> String;

/// Small good files of every kind, with their readers.
fn good() -> Vec<(&'static str, Vec<u8>, Reader)> {
    let turned = tensor(storage("FloatStorage", "0", 6), 1, &[2, 2], &[1, 3]);
    let state =
        pickle(dict(&[(text("a"), two_floats_of("1")), (text("b"), turned), (text("n"), int(-1))]));
    let (small, large) = ([1; 8], [2; 24]);
    let entries = zip::state(&state, &[("1", &small), ("0", &large)]);
    let header = header_of(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#);
    let config = br#"{"weight_map":{"a":"x.safetensors"},"quantization":{"bits":4,"group_size":64},"id2label":{"0":"a"}}"#;
    vec![
        ("safetensors", safetensors(&header, 8), fuzzing::safetensors),
        ("zip", zip::zip(&entries), fuzzing::torch),
        ("zip64", zip::zip64(&entries, [None; 3]), fuzzing::torch),
        ("legacy", legacy(&state, &[("1", 2, &small), ("0", 6, &large)]), fuzzing::torch),
        ("pickle", state, fuzzing::pickle),
        ("config", config.to_vec(), fuzzing::config),
    ]
}

fn two_floats_of(key: &str) -> Code {
    tensor(storage("FloatStorage", key, 2), 0, &[2], &[1])
}

#[test]
fn every_prefix_is_refused() {
    for (name, bytes, read) in good() {
        assert!(!read(&bytes).contains("Err("), "{name}: {}", read(&bytes));
        for length in 0..bytes.len() {
            let found = read(&bytes[..length]);
            assert!(found.starts_with("Err("), "{name}, {length} bytes: {found}");
        }
    }
}

#[test]
fn any_byte_may_be_wrong() {
    for (_, bytes, read) in good() {
        for place in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] ^= mask;
                assert_eq!(read(&changed), read(&changed));
            }
        }
    }
}

/// Every field of 2, 4 and 8 bytes, wherever it may be.
#[test]
fn any_number_may_be_wrong() {
    for (_, bytes, read) in good() {
        let length = bytes.len() as u64;
        let values = [0, 1, u64::MAX, u64::MAX - 1, length - 1, length + 1];
        for place in 0..bytes.len() {
            for width in [2, 4, 8] {
                let Some(_) = bytes.get(place..place + width) else { continue };
                for value in values {
                    let mut changed = bytes.clone();
                    changed[place..place + width].copy_from_slice(&value.to_le_bytes()[..width]);
                    read(&changed);
                }
            }
        }
    }
}

#[test]
fn a_file_and_another_are_no_file() {
    for (name, bytes, read) in good() {
        // What follows the older format's storages is harmless, and noted.
        let found = read(&[bytes.as_slice(), &bytes].concat());
        let is_noted = name == "legacy" && found.contains("after the last storage");
        assert!(is_noted || name == "pickle" || found.starts_with("Err("), "{name}: {found}");
    }
}
