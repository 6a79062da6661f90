//! Section 7: weights that cannot be converted, in files that are good.

use serde_json::{Value, json};

use super::{SAFETENSORS, refused};
use crate::forge::pickle::{dict, int, pickle, storage, tensor, text};
use crate::forge::zip::{Entry, state, zip};
use crate::{Work, fixture};

/// A tensor of the fixture: name, shape, and its bytes.
type Tensor = (String, Vec<i64>, Vec<u8>);

/// The tensors of the fixture, which all are F32.
fn tensors(model: &str) -> Vec<Tensor> {
    let bytes = std::fs::read(fixture(model).join(SAFETENSORS)).expect("a fixture");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).expect("JSON");
    let data = &bytes[8 + length..];
    let tensor = |(name, entry): (&String, &Value)| {
        let numbers = |key: &str| -> Vec<i64> {
            entry[key].as_array().expect("a list").iter().filter_map(Value::as_i64).collect()
        };
        let offsets = numbers("data_offsets");
        let data = data[offsets[0] as usize..offsets[1] as usize].to_vec();
        (name.clone(), numbers("shape"), data)
    };
    let header = header.as_object().expect("an object");
    header.iter().filter(|(name, _)| *name != "__metadata__").map(tensor).collect()
}

/// A safetensors file of the tensors.
fn file(tensors: &[Tensor]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, bytes) in tensors {
        let range = [data.len(), data.len() + bytes.len()];
        data.extend_from_slice(bytes);
        let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": range});
        header.insert(name.clone(), entry);
    }
    let mut bytes = crate::forge::safetensors(&Value::Object(header).to_string(), 0);
    bytes.extend(data);
    bytes
}

/// The fixture with changed tensors must be refused.
fn check(item: &str, model: &str, change: impl FnOnce(&mut Vec<Tensor>), words: &[&str]) {
    let work = Work::new();
    let config = std::fs::read(fixture(model).join("config.json")).expect("a fixture");
    work.write("model/config.json", config);
    let mut tensors = tensors(model);
    change(&mut tensors);
    work.write(&format!("model/{SAFETENSORS}"), file(&tensors));
    refused(&work, item, words);
}

fn find<'t>(tensors: &'t mut [Tensor], name: &str) -> &'t mut Tensor {
    tensors.iter_mut().find(|tensor| tensor.0.ends_with(name)).expect("a tensor")
}

const WORDS: &str = "embeddings.word_embeddings.weight";
const OUTPUT: &str = "encoder.layer.1.output.dense.weight";
const NORM: &str = "encoder.layer.0.output.LayerNorm.bias";

#[test]
fn numbers_that_are_none() {
    let set = |name: &'static str, at: usize, number: f32| {
        move |tensors: &mut Vec<Tensor>| {
            let data = &mut find(tensors, name).2;
            data[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
        }
    };
    for (item, name, at, number, words) in [
        ("7a NaN in a table", WORDS, 100, f32::NAN, ["1 of its", "first at 100"]),
        ("7a infinity in a matrix", OUTPUT, 7, f32::INFINITY, ["infinite", "first at 7"]),
        ("7a minus infinity in a norm", NORM, 0, f32::NEG_INFINITY, ["infinite", "first at 0"]),
        ("7a beyond float16", OUTPUT, 9, 70000.0, ["65504", "--dtype bfloat16"]),
        ("7a beyond float16 in a norm", NORM, 1, -1e30, ["65504", "first at 1"]),
    ] {
        check(item, "tiny-bert-embed", set(name, at, number), &[&[name], &words[..]].concat());
    }
}

#[test]
fn tensors_that_do_not_fit() {
    let remove = |name: &'static str| {
        move |tensors: &mut Vec<Tensor>| tensors.retain(|tensor| !tensor.0.ends_with(name))
    };
    check("7b missing table", "tiny-bert-embed", remove(WORDS), &["lacks 1", WORDS]);
    check("7b missing norm", "tiny-bert-embed", remove(NORM), &["lacks 1", NORM]);
    check("7b nothing left", "tiny-bert-embed", Vec::clear, &["lacks", WORDS]);
    check("7h no classifier", "tiny-bert-classify", remove("classifier.weight"), &["classifier"]);
    let turn = |tensors: &mut Vec<Tensor>| find(tensors, OUTPUT).1.reverse();
    check("7c transposed", "tiny-bert-embed", turn, &["encoder.layer.1.output.dense", "[128, 64]"]);
    let flat = |tensors: &mut Vec<Tensor>| find(tensors, OUTPUT).1 = vec![64 * 128];
    check("7c flat", "tiny-bert-embed", flat, &["encoder.layer.1.output.dense"]);
    let old = |tensors: &mut Vec<Tensor>| {
        let mut norm = find(tensors, NORM).clone();
        norm.0 = norm.0.replace("LayerNorm.bias", "LayerNorm.beta");
        tensors.push(norm);
    };
    check(
        "7g a bias under two names",
        "tiny-bert-embed",
        old,
        &["LayerNorm.beta", "means the same"],
    );
}

/// The fixture as PyTorch's file, with `change`.
fn check_torch(item: &str, change: impl FnOnce(&mut Vec<Entry>), words: &[&str]) {
    let mut tensors = tensors("tiny-bert-embed");
    let nan = find(&mut tensors, OUTPUT);
    nan.2[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let code = |(place, (name, shape, data)): (usize, &Tensor)| {
        let store = storage("FloatStorage", &place.to_string(), data.len() as i64 / 4);
        let columns = shape.get(1).copied().unwrap_or(1);
        let strides = if shape.len() == 2 { vec![columns, 1] } else { vec![1] };
        (text(name), tensor(store, 0, shape, &strides))
    };
    let mut values: Vec<_> = tensors.iter().enumerate().map(code).collect();
    values.push((text("step"), int(5)));
    let keys: Vec<String> = (0..tensors.len()).map(|place| place.to_string()).collect();
    let data: Vec<(&str, &[u8])> = keys
        .iter()
        .zip(&tensors)
        .map(|(key, tensor)| (key.as_str(), tensor.2.as_slice()))
        .collect();
    let mut entries = state(&pickle(dict(&values)), &data);
    change(&mut entries);
    let work = Work::new();
    let config = std::fs::read(fixture("tiny-bert-embed").join("config.json")).expect("a fixture");
    work.write("model/config.json", config);
    work.write("model/pytorch_model.bin", zip(&entries));
    refused(&work, item, words);
}

/// Faults that show only when the data are read, in the midst of a conversion.
#[test]
fn torch_files_whose_data_are_wrong() {
    check_torch("7a NaN in a torch file", |_| {}, &[OUTPUT, "first at 0"]);
    let damage = |entries: &mut Vec<Entry>| entries.iter_mut().skip(2).for_each(|e| e.data[0] ^= 1);
    check_torch("4i CRC of the storages", damage, &["pytorch_model.bin", "CRC-32", "damaged"]);
}
