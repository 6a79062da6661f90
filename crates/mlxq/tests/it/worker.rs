//! The worker process under the rules of engines (`mlxq_engine::conformance`).

use std::path::Path;
use std::time::Duration;

use mlxq_engine::conformance::{Subject, broken_rules};
use mlxq_engine::worker::{Worker, WorkerCommand};
use mlxq_engine::{Batch, Engine, EngineError};

fn open(folder: &Path, threads: usize) -> Result<Box<dyn Engine>, EngineError> {
    start(folder, threads, &[])
}

fn start(folder: &Path, threads: usize, more: &[&str]) -> Result<Box<dyn Engine>, EngineError> {
    let arguments = [&["worker"], more].concat().into_iter().map(Into::into).collect();
    let command = WorkerCommand {
        engine: "native".to_owned(),
        program: env!("CARGO_BIN_EXE_mlxq").into(),
        arguments,
        timeout: Duration::from_secs(60),
    };
    Ok(Box::new(Worker::start(command, folder, threads)?))
}

/// Rows of 1, 24, 3 and 7 tokens, the most that the checkpoint takes being 24 of a vocabulary of 50.
fn subject() -> Subject {
    let mut rows = Batch::new();
    for length in [1_u32, 24, 3, 7] {
        let ids: Vec<u32> = (0..length).map(|place| (place * 7 + length) % 50).collect();
        let segments: Vec<u32> = (0..length).map(|place| place * 2 / length).collect();
        rows.push(&ids, &segments);
    }
    Subject { rows, vocabulary: 50, max_tokens: 24, segments: Some(2), tolerance: 0.0 }
}

/// What is recorded is what is computed with, not what was asked for.
#[test]
fn a_float_model_says_float32_whatever_it_is_asked() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/families/bert");
    for more in [&[][..], &["--activations=8"]] {
        let worker = start(&folder, 1, more).expect("a worker");
        assert_eq!(worker.info().setting("activations"), Some("float32"));
    }
}

#[test]
fn the_worker_process_keeps_every_rule() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/families/bert");
    let broken = broken_rules(&mut |threads| open(&folder, threads), &subject());
    assert!(broken.is_empty(), "{broken:#?}");
}
