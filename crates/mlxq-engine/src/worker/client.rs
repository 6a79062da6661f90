//! The asking side of the protocol: a worker process and what it measures.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::protocol::{self, Reply, Request};
use crate::memory::resident;
use crate::{Batch, Engine, EngineError, EngineInfo, Output};

/// Lines of a worker's stderr that are kept for error messages.
const KEPT_LINES: usize = 20;

/// How a worker process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The engine's name, for messages.
    pub engine: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The longest time one request may take.
    pub timeout: Duration,
}

/// The time that a run of calls took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Duration of each call, by the worker's clock.
    pub calls: Vec<Duration>,
    /// Tokens computed, padding not counted.
    pub tokens: usize,
    /// Tokens computed, padding counted.
    pub padded_tokens: usize,
}

/// A running worker process with a loaded model.
pub struct Worker {
    command: WorkerCommand,
    child: Child,
    input: Option<ChildStdin>,
    replies: Receiver<std::io::Result<(Reply, Vec<u8>)>>,
    stderr: Arc<Mutex<VecDeque<String>>>,
    info: EngineInfo,
    load_seconds: f64,
    start_seconds: f64,
    idle_memory_mb: Option<f64>,
}

impl Worker {
    /// Starts the process and loads the folder `model`.
    ///
    /// # Errors
    /// When the process cannot be started, ends, answers with garbage or not in time, or cannot load
    /// the model; the message has its last lines of stderr.
    pub fn start(
        command: WorkerCommand,
        model: &Path,
        threads: usize,
    ) -> Result<Self, EngineError> {
        let begun = Instant::now();
        let mut child = spawn(&command, threads)?;
        let stderr = Arc::new(Mutex::new(VecDeque::new()));
        if let Some(stream) = child.stderr.take() {
            let kept = Arc::clone(&stderr);
            std::thread::spawn(move || keep_last_lines(BufReader::new(stream), &kept));
        }
        let (sender, replies) = mpsc::channel();
        if let Some(stream) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while let Some(message) = protocol::read_reply(&mut stream).transpose() {
                    let failed = message.is_err();
                    if sender.send(message).is_err() || failed {
                        return;
                    }
                }
            });
        }
        let mut worker = Self {
            input: child.stdin.take(),
            info: unknown_info(&command, threads),
            command,
            child,
            replies,
            stderr,
            load_seconds: 0.0,
            start_seconds: 0.0,
            idle_memory_mb: None,
        };
        match worker.ask(&Request::Ready, &[])? {
            (Reply::Ready, _) => {
                worker.idle_memory_mb = resident(worker.pid()).map(|r| r.total_mb())
            }
            (other, _) => return Err(worker.surprised(&other)),
        }
        let model = std::path::absolute(model).unwrap_or_else(|_| model.to_owned());
        let request = Request::Load { protocol: protocol::VERSION, model, threads };
        match worker.ask(&request, &[])? {
            (Reply::Loaded { info, load_seconds }, _) => {
                worker.info = info;
                worker.load_seconds = load_seconds;
                worker.start_seconds = begun.elapsed().as_secs_f64();
                Ok(worker)
            }
            (other, _) => Err(worker.surprised(&other)),
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Seconds that loading the model took, by the worker's clock.
    pub fn load_seconds(&self) -> f64 {
        self.load_seconds
    }

    /// Seconds from the start of the process to the loaded model, imports included.
    pub fn start_seconds(&self) -> f64 {
        self.start_seconds
    }

    /// Resident memory of the process with everything imported and no model, MiB; `None` where it cannot
    /// be read.
    pub fn idle_memory_mb(&self) -> Option<f64> {
        self.idle_memory_mb
    }

    /// Sends the rows that later requests are about.
    ///
    /// # Errors
    /// When the worker fails.
    pub fn load_rows(&mut self, batch: &Batch) -> Result<(), EngineError> {
        let (request, payload) = protocol::rows(batch);
        match self.ask(&request, &payload)? {
            (Reply::Kept, _) => Ok(()),
            (other, _) => Err(self.surprised(&other)),
        }
    }

    /// The vectors of all rows, computed `batch` rows at a time.
    ///
    /// # Errors
    /// When the worker fails.
    pub fn predict_rows(&mut self, batch: usize) -> Result<Output, EngineError> {
        match self.ask(&Request::Predict { batch }, &[])? {
            (Reply::Output { rows, cols, .. }, bytes) if Some(bytes.len()) == size(rows, cols) => {
                let data = bytes.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
                Ok(Output { rows, cols, data })
            }
            (other, _) => Err(self.surprised(&other)),
        }
    }

    /// Computes the rows `rows`, `batch` at a time, and measures each call.
    ///
    /// # Errors
    /// When the worker fails.
    pub fn time_rows(
        &mut self,
        rows: std::ops::Range<usize>,
        batch: usize,
    ) -> Result<Block, EngineError> {
        let request = Request::Time { start: rows.start, end: rows.end, batch };
        match self.ask(&request, &[])? {
            (Reply::Timed { call_ns, tokens, padded_tokens }, _) => Ok(Block {
                calls: call_ns.into_iter().map(Duration::from_nanos).collect(),
                tokens,
                padded_tokens,
            }),
            (other, _) => Err(self.surprised(&other)),
        }
    }

    fn ask(&mut self, request: &Request, payload: &[u8]) -> Result<(Reply, Vec<u8>), EngineError> {
        let sent = match &mut self.input {
            Some(input) => protocol::write(input, request, payload),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        if sent.is_err() {
            return Err(self.failed("ended"));
        }
        match self.replies.recv_timeout(self.command.timeout) {
            Ok(Ok((Reply::Failed { error }, _))) => Err(EngineError::Worker {
                engine: self.command.engine.clone(),
                reason: format!(
                    "failed: {}",
                    error.escape_debug().to_string().replace("\\n", "\n")
                ),
            }),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.failed(&format!("wrote no message: {error}"))),
            Err(RecvTimeoutError::Disconnected) => Err(self.failed("ended")),
            Err(RecvTimeoutError::Timeout) => {
                let seconds = self.command.timeout.as_secs();
                Err(self.failed(&format!("did not answer within {seconds} seconds")))
            }
        }
    }

    fn surprised(&self, reply: &Reply) -> EngineError {
        let shown: String = format!("{reply:?}").chars().take(80).collect();
        self.failed(&format!("gave an answer to another question: {shown}"))
    }

    /// The error of a worker that cannot go on, with its last words.
    fn failed(&self, what: &str) -> EngineError {
        // Its last lines may still be on their way through the pipe.
        std::thread::sleep(Duration::from_millis(50));
        let lines = self.stderr.lock().map(|lines| lines.iter().cloned().collect::<Vec<_>>());
        let lines = lines.unwrap_or_default().join("\n  ");
        let said = if lines.is_empty() { String::new() } else { format!("; it said:\n  {lines}") };
        EngineError::Worker { engine: self.command.engine.clone(), reason: format!("{what}{said}") }
    }
}

impl Engine for Worker {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn predict(&mut self, batch: &Batch) -> Result<Output, EngineError> {
        self.load_rows(batch)?;
        self.predict_rows(batch.rows().max(1))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that is asked to quit ends by itself; one that hangs is killed.
        if let Some(mut input) = self.input.take() {
            let _ = protocol::write(&mut input, &Request::Quit, &[]);
        }
        for _ in 0..40 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(rows: usize, cols: usize) -> Option<usize> {
    rows.checked_mul(cols)?.checked_mul(4)
}

fn spawn(command: &WorkerCommand, threads: usize) -> Result<Child, EngineError> {
    let mut process = Command::new(&command.program);
    process.args(&command.arguments);
    for variable in
        ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"]
    {
        process.env(variable, threads.to_string());
    }
    process.env("HF_HUB_OFFLINE", "1").env("TOKENIZERS_PARALLELISM", "false");
    process.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    process.spawn().map_err(|error| EngineError::Missing {
        engine: command.engine.clone(),
        reason: format!("`{}` does not start: {error}", command.program.display()),
    })
}

fn keep_last_lines(stream: impl BufRead, kept: &Mutex<VecDeque<String>>) {
    for line in stream.split(b'\n').map_while(Result::ok) {
        let text: String = String::from_utf8_lossy(&line).chars().take(400).collect();
        let Ok(mut kept) = kept.lock() else { return };
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(text.trim_end().escape_debug().to_string());
    }
}

fn unknown_info(command: &WorkerCommand, threads: usize) -> EngineInfo {
    EngineInfo {
        engine: command.engine.clone(),
        version: String::new(),
        device: String::new(),
        threads,
        output: crate::OutputKind::Embedding,
        labels: Vec::new(),
        settings: Vec::new(),
    }
}
