//! Converted folders on the native engine, whether the layers of one input are stored alike or not: the
//! numbers of their weights restored to f32, and the rules that every engine keeps.

use std::ops::ControlFlow;
use std::path::Path;

use mlxq_checkpoint::recipe::{Format, Recipe};
use mlxq_checkpoint::{Checkpoint, ConvertRequest, Task, convert};
use mlxq_engine::conformance::{Subject, broken_rules};
use mlxq_engine::native::{Activations, NativeEngine, NativeOptions};
use mlxq_engine::{Batch, Engine};
use mlxq_kernels::float::Float;

const RECIPES: [(&str, &[&str]); 4] = [
    ("all alike", &[]),
    ("queries narrower", &["query=4:32"]),
    ("values in float", &["value=none"]),
    ("three kinds", &["query=mode", "key=3:32", "value=none"]),
];

fn converted(source: &Path, target: &Path, task: Task) {
    let checkpoint = Checkpoint::open(source).expect("a checkpoint");
    let layout = mlxq_models::layout(checkpoint.model_type());
    let request = ConvertRequest::new(&checkpoint, layout, target, task);
    convert(request, &mut |_| ControlFlow::Continue(())).expect("converted");
}

fn recipe(overrides: &[&str]) -> Recipe {
    let format = Format::new("affine", Some(8), Some(64)).expect("a format");
    let mut recipe = Recipe::uniform(format, Some(Float::F32));
    let texts = overrides.iter().map(|text| text.replace("mode", "4:32:mxfp4"));
    recipe.overrides = texts.map(|text| text.parse().expect("a choice")).collect();
    recipe
}

fn rows() -> Batch {
    let mut batch = Batch::new();
    for length in [3_usize, 1, 40, 17] {
        let ids: Vec<u32> = (0..length).map(|place| ((place * 7 + length) % 30) as u32).collect();
        let segments: Vec<u32> = (0..length).map(|place| u32::from(2 * place > length)).collect();
        batch.push(&ids, &segments);
    }
    batch
}

fn open(folder: &Path, threads: usize, activations: Activations) -> NativeEngine {
    NativeEngine::open(folder, NativeOptions { threads, activations }).expect("a good folder")
}

/// Weights restored to floats are one matrix for queries, keys and values again. In float32 there is
/// nothing but the order of sums between the two; integers have steps of 1/32639 of a row's largest number,
/// or of 1/127 of a group's, and must show it.
#[test]
fn numbers_are_those_of_the_restored_weights() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert-embed");
    let rows = rows();
    for (name, overrides) in RECIPES {
        let dir = tempfile::tempdir().expect("a folder");
        let [packed, restored] = ["packed", "restored"].map(|name| dir.path().join(name));
        converted(&source, &packed, Task::Quantize(recipe(overrides)));
        converted(&packed, &restored, Task::Dequantize { float: Some(Float::F32) });
        let predict = |folder: &Path, activations| {
            open(folder, 2, activations).predict(&rows).expect("good rows").data
        };
        let theirs = predict(&restored, Activations::Float32);
        let largest = theirs.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        assert!(largest > 0.1, "{name}: {largest}");
        for (activations, least, most) in [
            (Activations::Float32, 0.0, 1e-5),
            (Activations::Int16, 1e-7, 1e-3),
            (Activations::Int8, 1e-3, 0.1),
        ] {
            let ours = predict(&packed, activations);
            let pairs = ours.iter().zip(&theirs);
            let apart = pairs.map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max) / largest;
            assert!((least..=most).contains(&apart), "{name}, {activations}: {apart}");
        }
    }
}

#[test]
fn every_rule_is_kept() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert-embed");
    let config = Checkpoint::open(&source).expect("a checkpoint").config().clone();
    let number = |key: &str| config[key].as_u64().expect("a number") as u32;
    for (name, overrides) in RECIPES {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("packed");
        converted(&source, &folder, Task::Quantize(recipe(overrides)));
        let subject = Subject {
            rows: rows(),
            vocabulary: number("vocab_size"),
            max_tokens: number("max_position_embeddings") as usize,
            segments: Some(number("type_vocab_size")),
            tolerance: 0.0,
        };
        for activations in [Activations::Int16, Activations::Int8] {
            let open =
                &mut |threads| Ok(Box::new(open(&folder, threads, activations)) as Box<dyn Engine>);
            assert_eq!(broken_rules(open, &subject), Vec::<String>::new(), "{name} {activations}");
        }
    }
}
