//! The worker protocol, over pipes in memory and with programs that do not keep to it.

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use mlxq_engine::worker::protocol::{self, Reply, Request};
use mlxq_engine::worker::{Worker, WorkerCommand, serve};
use mlxq_engine::{Batch, Engine, EngineError, EngineInfo, Output, OutputKind};

/// Answers with the number of tokens and the first id of each row.
struct Counter(EngineInfo);

impl Engine for Counter {
    fn info(&self) -> &EngineInfo {
        &self.0
    }

    fn predict(&mut self, batch: &Batch) -> Result<Output, EngineError> {
        let row = |at: usize| {
            let range = batch.offsets[at]..batch.offsets[at + 1];
            [range.len() as f32, batch.ids[range.start] as f32]
        };
        Ok(Output { rows: batch.rows(), cols: 2, data: (0..batch.rows()).flat_map(row).collect() })
    }
}

fn load(_: &Path, threads: usize) -> Result<Box<dyn Engine>, EngineError> {
    Ok(Box::new(Counter(EngineInfo {
        engine: "counter".to_owned(),
        version: "1".to_owned(),
        device: "cpu".to_owned(),
        threads,
        output: OutputKind::Embedding,
        labels: Vec::new(),
        settings: Vec::new(),
    })))
}

/// The answers to `requests`.
fn answers(requests: &[(Request, Vec<u8>)]) -> Vec<(Reply, Vec<u8>)> {
    let mut input = Vec::new();
    for (request, payload) in requests {
        protocol::write(&mut input, request, payload).expect("memory");
    }
    let mut output = Vec::new();
    serve(&mut Cursor::new(input), &mut output, load).expect("good streams");
    let mut output = Cursor::new(output);
    std::iter::from_fn(|| protocol::read_reply(&mut output).expect("a reply")).collect()
}

fn rows() -> Batch {
    let mut batch = Batch::new();
    batch.push(&[7, 8, 9], &[0, 0, 1]);
    batch.push(&[5], &[0]);
    batch
}

fn load_request(protocol: u32) -> (Request, Vec<u8>) {
    (Request::Load { protocol, model: "m".into(), threads: 3 }, Vec::new())
}

#[test]
fn rows_go_in_and_vectors_and_times_come_out() {
    let replies = answers(&[
        (Request::Ready, Vec::new()),
        load_request(protocol::VERSION),
        protocol::rows(&rows()),
        (Request::Predict { batch: 1 }, Vec::new()),
        (Request::Time { start: 1, end: 2, batch: 1 }, Vec::new()),
        (Request::Quit, Vec::new()),
        (Request::Predict { batch: 1 }, Vec::new()),
    ]);
    assert_eq!(replies.len(), 5, "nothing is answered after quit");
    assert_eq!(replies[0].0, Reply::Ready);
    assert!(matches!(&replies[1].0, Reply::Loaded { info, .. } if info.threads == 3));
    assert!(matches!(&replies[3].0, Reply::Output { rows: 2, cols: 2, .. }));
    let numbers: Vec<f32> = replies[3]
        .1
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    assert_eq!(numbers, [3.0, 7.0, 1.0, 5.0]);
    assert!(matches!(&replies[4].0, Reply::Timed { call_ns, tokens: 1, .. } if call_ns.len() == 1));
}

#[test]
fn what_cannot_be_done_is_said_and_the_worker_goes_on() {
    let replies = answers(&[
        (Request::Predict { batch: 1 }, Vec::new()),
        load_request(protocol::VERSION + 1),
        load_request(protocol::VERSION),
        protocol::rows(&rows()),
        (Request::Time { start: 0, end: 3, batch: 1 }, Vec::new()),
        (Request::Predict { batch: 0 }, Vec::new()),
        (Request::Predict { batch: 2 }, Vec::new()),
    ]);
    let failed: Vec<bool> =
        replies.iter().map(|(reply, _)| matches!(reply, Reply::Failed { .. })).collect();
    assert_eq!(failed, [true, true, false, false, true, true, false]);
}

/// A worker played by a shell script.
#[cfg(unix)]
fn error_of(script: &str, timeout: Duration) -> String {
    let command = WorkerCommand {
        engine: "torch".to_owned(),
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        timeout,
    };
    let started = Worker::start(command, Path::new("m"), 1);
    started.err().expect("no worker").to_string()
}

#[cfg(unix)]
#[test]
fn a_worker_that_fails_is_reported_with_its_last_words() {
    let long = Duration::from_secs(60);
    let crashed = error_of("echo 'no module named torch' >&2; exit 1", long);
    assert!(crashed.contains("torch worker") && crashed.contains("no module named torch"));
    let garbage = error_of("echo hello; sleep 60", long);
    assert!(garbage.contains("torch worker"), "{garbage}");
    let begun = Instant::now();
    let hangs = error_of("sleep 60", Duration::from_millis(200));
    assert!(hangs.contains("torch worker"), "{hangs}");
    assert!(begun.elapsed() < Duration::from_secs(30), "a hanging worker is waited for");
}

/// Libraries that count the machine's cores by themselves are told the number of threads.
#[cfg(unix)]
#[test]
fn the_number_of_threads_is_in_the_environment_of_a_worker() {
    let said = error_of(
        "echo \"$OMP_NUM_THREADS $MKL_NUM_THREADS $OPENBLAS_NUM_THREADS $RAYON_NUM_THREADS\" >&2; exit 1",
        Duration::from_secs(60),
    );
    assert!(said.contains("1 1 1 1"), "{said}");
}

/// A worker's memory before it has a model is asked for after its imports.
#[cfg(target_os = "linux")]
#[test]
fn the_memory_of_an_idle_worker_is_read() {
    let info = r#"{"engine":"e","version":"1","device":"cpu","threads":1,"output":"embedding","labels":[],"settings":[]}"#;
    let script = format!(
        "read a; echo '{{\"reply\":\"ready\"}}'; read b; \
         echo '{{\"reply\":\"loaded\",\"info\":{info},\"load_seconds\":0.5}}'; read c"
    );
    let command = WorkerCommand {
        engine: "e".to_owned(),
        program: "sh".into(),
        arguments: vec!["-c".into(), script.into()],
        timeout: Duration::from_secs(60),
    };
    let worker = Worker::start(command, Path::new("m"), 1).expect("a worker");
    let idle = worker.idle_memory_mb().expect("readable");
    assert!(idle > 0.1 && idle < 1024.0, "a shell of {idle} MiB");
}
