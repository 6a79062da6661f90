//! The answering side of the protocol, for any engine.

use std::io::{BufRead, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use super::protocol::{self, Reply, Request};
use crate::{Batch, Engine, EngineError, Output, TOKENS_AT_ONCE};

/// An answer: a reply with its raw bytes, or why the request failed.
type Answer = Result<(Reply, Vec<u8>), String>;

/// Answers requests from `input` on `output` until it is told to quit or the input ends; `load` opens
/// the engine for a model folder and a number of threads.
///
/// # Errors
/// When a stream fails or holds no message.
pub fn serve(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    load: impl Fn(&Path, usize) -> Result<Box<dyn Engine>, EngineError>,
) -> std::io::Result<()> {
    let mut served = Served { load, engine: None, rows: Batch::new() };
    while let Some((request, payload)) = protocol::read_request(input)? {
        if request == Request::Quit {
            break;
        }
        let answer = served.answer(request, &payload);
        let (reply, payload) = answer.unwrap_or_else(|error| (Reply::Failed { error }, Vec::new()));
        protocol::write(output, &reply, &payload)?;
    }
    Ok(())
}

struct Served<L> {
    load: L,
    engine: Option<Box<dyn Engine>>,
    rows: Batch,
}

impl<L: Fn(&Path, usize) -> Result<Box<dyn Engine>, EngineError>> Served<L> {
    fn answer(&mut self, request: Request, payload: &[u8]) -> Answer {
        match request {
            Request::Ready => Ok((Reply::Ready, Vec::new())),
            Request::Load { protocol, model, threads } => self.load(protocol, &model, threads),
            Request::Rows { rows, tokens, .. } => {
                self.rows = protocol::batch(rows, tokens, payload)?;
                Ok((Reply::Kept, Vec::new()))
            }
            Request::Predict { batch } => self.predict(batch),
            Request::Time { start, end, batch } => self.time(start, end, batch),
            Request::Quit => Err("asked to quit".to_owned()),
        }
    }

    fn load(&mut self, protocol: u32, model: &Path, threads: usize) -> Answer {
        if protocol != protocol::VERSION {
            return Err(format!("speaks protocol {}, not {protocol}", protocol::VERSION));
        }
        let start = Instant::now();
        let engine = (self.load)(model, threads).map_err(|error| error.to_string())?;
        let load_seconds = start.elapsed().as_secs_f64();
        let info = engine.info().clone();
        self.engine = Some(engine);
        Ok((Reply::Loaded { info, load_seconds }, Vec::new()))
    }

    /// Computes the rows of each of `parts` and hands each call's result and nanoseconds to `take`.
    fn compute(
        &mut self,
        parts: impl IntoIterator<Item = Range<usize>>,
        mut take: impl FnMut(Output, u64),
    ) -> Result<(), String> {
        let engine = self.engine.as_mut().ok_or("no model is loaded")?;
        for part in parts {
            let part = self.rows.slice(part);
            let begun = Instant::now();
            let output = engine.predict(&part).map_err(|error| error.to_string())?;
            take(output, u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn predict(&mut self, batch: usize) -> Answer {
        let rows = self.rows.rows();
        if batch == 0 {
            return Err("no rows at once".to_owned());
        }
        let (mut cols, mut payload) = (0, Vec::new());
        let parts: Vec<_> = self.rows.parts(batch, TOKENS_AT_ONCE).collect();
        self.compute(parts, |output, _| {
            cols = output.cols;
            payload.extend(output.data.iter().flat_map(|x| x.to_le_bytes()));
        })?;
        Ok((Reply::Output { rows, cols, bytes: payload.len() }, payload))
    }

    fn time(&mut self, start: usize, end: usize, batch: usize) -> Answer {
        if start > end || end > self.rows.rows() || batch == 0 {
            return Err(format!("rows {start}..{end} by {batch} of {}", self.rows.rows()));
        }
        let mut call_ns = Vec::new();
        let parts = (start..end).step_by(batch).map(|first| first..end.min(first + batch));
        self.compute(parts, |_, elapsed| call_ns.push(elapsed))?;
        let tokens = self.rows.offsets[end] - self.rows.offsets[start];
        // Nothing is padded here.
        Ok((Reply::Timed { call_ns, tokens, padded_tokens: tokens }, Vec::new()))
    }
}
