//! The native engine as one of the processes that take turns in `cargo xtask bench engine`.
//!
//! Arguments: a model folder, the bits of the activations (32, 16, 8 or `default`), the number of threads, and
//! a JSON file `{"rows": [[id, …], …], "workloads": {name: [[row, …], …]}}`, in which each workload is a list of
//! batches of rows. Each line of the standard input is a command, answered by a line of JSON:
//! - `pass NAME` computes every batch of a workload: `{"seconds": [one number for each batch]}`;
//! - `hidden FILE` writes the last hidden states of the workload `errors`, f32, `[tokens, hidden]`:
//!   `{"width": hidden}`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use mlxq_engine::native::{Activations, NativeEngine, NativeOptions};
use mlxq_engine::{Batch, Engine};
use serde::Deserialize;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The rows and what is computed with them.
#[derive(Deserialize)]
struct Work {
    rows: Vec<Vec<u32>>,
    workloads: BTreeMap<String, Vec<Vec<usize>>>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, activations, threads, work] = arguments.as_slice() else {
        return Err("usage: engine_speed FOLDER ACTIVATIONS THREADS WORK".into());
    };
    let mut engine = NativeEngine::open(Path::new(folder), options(activations, threads)?)?;
    let work: Work = serde_json::from_slice(&std::fs::read(work)?)?;
    let info = engine.info();
    let ready = json!({"version": info.version, "device": info.device, "settings": info.settings});
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}")?;
    for line in std::io::stdin().lock().lines() {
        let answer = obey(&mut engine, &work, &line?)?;
        writeln!(stdout, "{answer}")?;
    }
    Ok(())
}

/// The options; `default` leaves the activations to the engine.
fn options(activations: &str, threads: &str) -> Result<NativeOptions> {
    if !["default", "32", "16", "8"].contains(&activations) {
        return Err(format!("activations of {activations} bits: default, 32, 16 or 8").into());
    }
    let activations = match activations {
        "default" => Activations::default(),
        bits => bits.parse()?,
    };
    Ok(NativeOptions { threads: threads.parse()?, activations })
}

fn obey(engine: &mut NativeEngine, work: &Work, line: &str) -> Result<Value> {
    let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
    match command {
        "pass" => Ok(json!({"seconds": pass(engine, &work.batches(argument)?)?})),
        "hidden" => {
            Ok(json!({"width": hidden(engine, &work.batches("errors")?, Path::new(argument))?}))
        }
        other => Err(format!("unknown command `{other}`").into()),
    }
}

impl Work {
    /// The batches of a workload, all tokens in segment 0.
    fn batches(&self, name: &str) -> Result<Vec<Batch>> {
        let places = self.workloads.get(name).ok_or_else(|| format!("no workload `{name}`"))?;
        let batch = |places: &Vec<usize>| {
            let mut batch = Batch::new();
            for ids in places.iter().map(|place| &self.rows[*place]) {
                batch.push(ids, &vec![0; ids.len()]);
            }
            batch
        };
        Ok(places.iter().map(batch).collect())
    }
}

/// Seconds of each batch.
fn pass(engine: &mut NativeEngine, batches: &[Batch]) -> Result<Vec<f64>> {
    let one = |batch: &Batch| -> Result<f64> {
        let start = Instant::now();
        std::hint::black_box(engine.predict(batch)?);
        Ok(start.elapsed().as_secs_f64())
    };
    batches.iter().map(one).collect()
}

/// Writes the last hidden states, batch after batch; their width.
fn hidden(engine: &mut NativeEngine, batches: &[Batch], file: &Path) -> Result<usize> {
    let (mut bytes, mut width) = (Vec::new(), 0);
    for batch in batches {
        let hidden = engine.hidden(batch)?;
        bytes.extend(hidden.data.iter().flat_map(|number| number.to_le_bytes()));
        width = hidden.cols;
    }
    std::fs::write(file, bytes)?;
    Ok(width)
}
