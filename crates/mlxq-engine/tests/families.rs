//! Every family on tiny checkpoints: the numbers that transformers gave for them, and the rules that every
//! engine must keep (`peers/family_fixtures.py`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mlxq_engine::conformance::{Subject, broken_rules};
use mlxq_engine::native::{NativeEngine, NativeOptions};
use mlxq_engine::{Batch, Engine, EngineError};
use serde::Deserialize;

/// `expected.json`.
#[derive(Deserialize)]
struct Expected {
    vocabulary: u32,
    max_tokens: usize,
    /// 0 where segments are passed over.
    segments: u32,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    output: Vec<f32>,
}

impl Expected {
    fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(folder.join("expected.json")).expect("a fixture");
        serde_json::from_str(&text).expect("its rows")
    }

    fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        self.rows.iter().for_each(|row| batch.push(&row.ids, &row.type_ids));
        batch
    }
}

/// The checkpoints' folders, by name.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/families");
    let entries = std::fs::read_dir(root).expect("the fixtures");
    let mut folders: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    folders
}

fn open(folder: &Path, threads: usize) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(NativeEngine::open(folder, NativeOptions { threads, ..NativeOptions::default() })?))
}

#[test]
fn every_type_that_runs_has_a_checkpoint_here() {
    let model_type = |folder: PathBuf| {
        let text = std::fs::read_to_string(folder.join("config.json")).expect("a fixture");
        let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config["model_type"].as_str().expect("a model type").to_owned()
    };
    let found: BTreeSet<String> = folders().into_iter().map(model_type).collect();
    let running = mlxq_models::KNOWN_TYPES.iter().map(|name| (*name).to_owned());
    assert_eq!(found, running.collect());
}

#[test]
fn numbers_are_those_of_transformers() {
    for folder in folders() {
        let expected = Expected::read(&folder);
        let mut engine = open(&folder, 2).expect("a good checkpoint");
        let output = engine.predict(&expected.batch()).expect("good rows");
        let theirs: Vec<f32> = expected.rows.iter().flat_map(|row| row.output.clone()).collect();
        assert_eq!(output.data.len(), theirs.len(), "{}", folder.display());
        let largest =
            |numbers: &mut dyn Iterator<Item = f32>| numbers.map(f32::abs).fold(0.0, f32::max);
        let apart = largest(&mut output.data.iter().zip(&theirs).map(|(a, b)| a - b));
        let greatest = largest(&mut theirs.iter().copied());
        assert!(apart <= 1e-4 * greatest, "{}: {apart} of {greatest}", folder.display());
    }
}

#[test]
fn hidden_states_are_what_the_mean_is_taken_of() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/families/xlm-roberta");
    let expected = Expected::read(&folder);
    let mut engine =
        NativeEngine::open(&folder, NativeOptions { threads: 2, ..NativeOptions::default() })
            .expect("good");
    let batch = expected.batch();
    let hidden = engine.hidden(&batch).expect("good rows");
    assert_eq!(hidden.rows, batch.tokens());
    for (row, theirs) in expected.rows.iter().enumerate() {
        let tokens = batch.offsets[row]..batch.offsets[row + 1];
        for (column, theirs) in theirs.output.iter().enumerate() {
            let sum: f32 = tokens.clone().map(|token| hidden.row(token)[column]).sum();
            let mean = sum / tokens.len() as f32;
            assert!((mean - theirs).abs() < 1e-4, "row {row}: {mean}, transformers has {theirs}");
        }
    }
    let unknown = Batch { ids: vec![u32::MAX], type_ids: vec![0], offsets: vec![0, 1] };
    assert!(matches!(engine.hidden(&unknown), Err(EngineError::Row { row: 0, .. })));
    assert_eq!(engine.hidden(&Batch::new()).expect("nothing").rows, 0);
}

#[test]
fn the_native_engine_keeps_every_rule() {
    let mut broken = Vec::new();
    for folder in folders() {
        let expected = Expected::read(&folder);
        let subject = Subject {
            rows: expected.batch(),
            vocabulary: expected.vocabulary,
            max_tokens: expected.max_tokens,
            segments: Some(expected.segments).filter(|segments| *segments > 0),
            tolerance: 0.0,
        };
        let rules = broken_rules(&mut |threads| open(&folder, threads), &subject);
        broken.extend(rules.into_iter().map(|rule| format!("{}: {rule}", folder.display())));
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
