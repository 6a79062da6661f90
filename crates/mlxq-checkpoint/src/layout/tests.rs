//! Layouts on names alone.

use std::ops::Range;

use serde_json::json;

use super::*;
use crate::tensor::{Dtype, TensorInfo};

const TOY: Layout = Layout {
    base: &[&[
        Module::embedding("words"),
        Module::linear("layer.{i}.dense").with_bias(),
        Module::head("pooler").optional(),
    ]],
    heads: &[Module::head("classifier")],
    rules: &[
        Rule::Drop("{*}position_ids", "a buffer, not a weight"),
        Rule::Drop("cls.{*}", "a head that prediction does not use"),
        Rule::RenameOld(&[("{*}dense.beta", "{*}dense.bias")]),
    ],
    ..Layout::encoder("ToyModel", "toy.")
};

/// Tensors of bytes, each of which is its own place.
struct Bytes(Vec<TensorInfo>);

impl Bytes {
    fn new(tensors: &[(&str, &[usize])]) -> Self {
        let info = |(name, shape): &(&str, &[usize])| TensorInfo {
            name: (*name).to_owned(),
            dtype: Dtype::U8,
            shape: shape.to_vec(),
        };
        Self(tensors.iter().map(info).collect())
    }

    fn named(names: &[&str]) -> Self {
        Self::new(&names.iter().map(|name| (*name, &[1][..])).collect::<Vec<_>>())
    }
}

impl TensorSource for Bytes {
    fn tensors(&self) -> &[TensorInfo] {
        &self.0
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let place = self.0.iter().position(|info| info.name == name).expect("known");
        *buffer = part.map(|at| (place * 100 + at) as u8).collect();
        Ok(())
    }
}

fn config(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn arrange(
    names: &[&str],
    layers: usize,
    purpose: Purpose,
) -> Result<Arrangement, CheckpointError> {
    TOY.arrange(&Bytes::named(names), &config(json!({"num_hidden_layers": layers})), purpose)
}

const PREFIXED: [&str; 6] = [
    "toy.words.weight",
    "toy.layer.0.dense.weight",
    "toy.layer.0.dense.beta",
    "toy.position_ids",
    "classifier.weight",
    "classifier.bias",
];

#[test]
fn every_tensor_is_claimed_once() {
    let names = [&PREFIXED[..], &["cls.x", "toy.layer.7.dense.weight"]].concat();
    let found = arrange(&names, 1, Purpose::SequenceClassification).expect("complete");
    let used: Vec<_> = found.used.iter().map(|tensor| tensor.name.as_str()).collect();
    let want = [
        "words.weight",
        "layer.0.dense.weight",
        "layer.0.dense.bias",
        "classifier.weight",
        "classifier.bias",
    ];
    assert_eq!(used, want);
    assert_eq!(found.prefix(), "toy.");
    assert_eq!(found.dropped.len(), 2);
    assert_eq!(found.unknown, ["toy.layer.7.dense.weight"]);
}

#[test]
fn embeddings_leave_the_head() {
    let found = arrange(&PREFIXED, 1, Purpose::Embedding).expect("complete");
    assert_eq!((found.used.len(), found.dropped.len()), (3, 3));
}

#[test]
fn what_is_missing_or_double_is_an_error() {
    let refused = |names: &[&str], layers| {
        let purpose = Purpose::SequenceClassification;
        arrange(names, layers, purpose).expect_err("refused").to_string()
    };
    assert!(refused(&PREFIXED, 2).contains("lacks 2 tensors"));
    assert!(refused(&PREFIXED[..4], 1).contains("no classifier"));
    let double = [&PREFIXED[..], &["toy.layer.0.dense.bias"]].concat();
    assert!(refused(&double, 1).contains("means the same as `toy.layer.0.dense.beta`"));
}

const MIXTURE: Layout = Layout {
    base: &[&[
        Module::linear("m.{i}.up").side("feed-forward", 0),
        Module::linear("m.{i}.gate").side("feed-forward", 1),
        Module::experts("m.{i}.experts.up").side("feed-forward", 1),
        Module::linear("m.{i}.a").optional(),
        Module::linear("m.{i}.b").optional(),
        Module::linear("m.{i}.turned").optional(),
        Module::linear("lm_head").unless_tied(true),
    ]],
    rules: &[
        Rule::DropLayersBeyond("m.{i}.{*}", &["num_hidden_layers"]),
        Rule::DropTied("lm_head.weight", true),
        Rule::Stack { from: "m.{i}.e.{e}.up.{*}", to: "m.{i}.experts.up.{*}", count: &["experts"] },
        Rule::Split { from: "m.{i}.ab.{*}", to: &["m.{i}.a.{*}", "m.{i}.b.{*}"] },
        Rule::Transpose("m.{i}.turned.weight"),
    ],
    ..Layout::decoder()
};

const EXPERTS: [(&str, &[usize]); 5] = [
    ("m.0.gate.weight", &[2, 2]),
    ("m.0.e.1.up.weight", &[2, 3]),
    ("m.0.e.0.up.weight", &[2, 3]),
    ("m.0.ab.weight", &[4, 2]),
    ("m.0.turned.weight", &[2, 3]),
];

fn mixture(
    tensors: &[(&str, &[usize])],
    settings: Value,
) -> Result<(Bytes, Arrangement), CheckpointError> {
    let source = Bytes::new(tensors);
    let found = MIXTURE.arrange(&source, &config(settings), Purpose::Embedding)?;
    Ok((source, found))
}

fn bytes(source: &dyn TensorSource, name: &str) -> Vec<u8> {
    let mut buffer = Vec::new();
    source.read(name, &mut buffer).expect("read");
    let mut parts = Vec::new();
    for at in 0..buffer.len() {
        let mut one = Vec::new();
        source.read_part(name, at..at + 1, &mut one).expect("read");
        parts.append(&mut one);
    }
    assert_eq!(parts, buffer, "parts of {name} make the whole");
    for range in [0..buffer.len(), buffer.len() / 3..buffer.len() * 2 / 3] {
        let held = source.bytes(name, range.clone()).expect("held");
        assert_eq!(*held, buffer[range.clone()], "{range:?} of {name}");
    }
    buffer
}

/// By hand: the bytes of tensor `t` are `100 t`, `100 t + 1`, …
#[test]
fn rules_move_rows_and_turn_matrices() {
    let settings = json!({"num_hidden_layers": 1, "experts": 2});
    let (source, found) = mixture(&EXPERTS, settings).expect("arranged");
    let folder = found.folder(&source);
    assert_eq!(folder.find("m.0.experts.up.weight").expect("stacked").shape, [2, 2, 3]);
    let second: [u8; 6] = [200, 201, 202, 203, 204, 205];
    let first: [u8; 6] = [100, 101, 102, 103, 104, 105];
    assert_eq!(bytes(&folder, "m.0.experts.up.weight"), [second, first].concat());
    assert_eq!(bytes(&folder, "m.0.b.weight"), [304, 305, 306, 307].map(|n: u32| n as u8));
    assert_eq!(folder.find("m.0.turned.weight").expect("turned").shape, [3, 2]);
    assert_eq!(
        bytes(&folder, "m.0.turned.weight"),
        [400, 403, 401, 404, 402, 405].map(|n: u32| n as u8)
    );
}

#[test]
fn undone_rules_give_the_source_again() {
    let settings = json!({"num_hidden_layers": 1, "experts": 2});
    let (source, found) = mixture(&EXPERTS, settings).expect("arranged");
    let folder = found.folder(&source);
    let restored = MIXTURE.restore(&folder).expect("restored");
    let again = restored.folder(&folder);
    for info in source.tensors() {
        assert_eq!(again.find(&info.name), Some(info), "{}", info.name);
        assert_eq!(bytes(&again, &info.name), bytes(&source, &info.name), "{}", info.name);
    }
    assert_eq!(again.tensors().len(), source.tensors().len());
}

#[test]
fn parts_of_several_layers_find_each_other() {
    let tensors: Vec<(&str, &[usize])> = vec![
        ("m.0.up.weight", &[1, 1]),
        ("m.0.ab.weight", &[4, 2]),
        ("m.1.up.weight", &[1, 1]),
        ("m.1.ab.weight", &[2, 4, 2]),
    ];
    let (source, found) = mixture(&tensors, json!({"num_hidden_layers": 2})).expect("arranged");
    let folder = found.folder(&source);
    let expected = [300u32, 301, 302, 303, 308, 309, 310, 311].map(|n| n as u8);
    assert_eq!(bytes(&folder, "m.1.a.weight"), expected, "cut within each of the two");
    let restored = MIXTURE.restore(&folder).expect("restored");
    let again = restored.folder(&folder);
    for (name, _) in &tensors {
        assert_eq!(bytes(&again, name), bytes(&source, name), "{name}");
    }
}

#[test]
fn experts_and_layers_must_be_whole() {
    let refused = |tensors: &[(&str, &[usize])], settings: Value| {
        mixture(tensors, settings).map(|_| ()).expect_err("refused").to_string()
    };
    let settings = json!({"num_hidden_layers": 1, "experts": 3});
    assert!(refused(&EXPERTS, settings).contains("lacks expert 2 of 3"));
    let settings = json!({"num_hidden_layers": 1, "experts": 1});
    assert!(refused(&EXPERTS, settings).contains("has 2 experts, the configuration says 1"));
    let settings = json!({"num_hidden_layers": 2, "experts": 2});
    assert!(refused(&EXPERTS, settings).contains("`m.1.up.weight`"), "the shorter side is named");
    let untied = json!({"num_hidden_layers": 1, "experts": 2, "tie_word_embeddings": false});
    assert!(refused(&EXPERTS, untied).contains("`lm_head.weight`"));
    let odd = [&EXPERTS[..3], &[("m.0.e.2.up.weight", &[1, 3])]].concat();
    let settings = json!({"num_hidden_layers": 1, "experts": 3});
    assert!(refused(&odd, settings).contains("expert 0 has [2, 3]"));
}

#[test]
fn layers_beyond_the_configuration_are_left_out() {
    let tensors = [&EXPERTS[..], &[("m.1.up.weight", &[1, 1])]].concat();
    let settings = json!({"num_hidden_layers": 1, "experts": 2});
    let (_, found) = mixture(&tensors, settings).expect("arranged");
    assert_eq!(found.dropped.len(), 1);
    assert_eq!(found.dropped[0].0, "m.1.up.weight");
}
