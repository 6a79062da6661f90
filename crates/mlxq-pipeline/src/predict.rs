//! Texts in, vectors out: JSON lines through one engine.

use std::io::{BufRead, Write};

use mlxq_engine::{Batch, Engine, EngineError, OutputKind, Tokenizer};
use serde::{Deserialize, Serialize};

use crate::Reporter;

/// The longest line that is read, in bytes.
const LINE_LIMIT: usize = 16 << 20;

/// An error of [`predict`].
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// An input line that is no request.
    #[error("input line {line}: {reason}")]
    Input {
        /// 1-based line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The input cannot be read or the output not written.
    #[error("input or output: {0}")]
    Io(#[from] std::io::Error),
    /// The user wants it to end.
    #[error("interrupted")]
    Interrupted,
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Predicted {
    /// Lines read and written.
    pub rows: usize,
    /// Texts that were cut to the longest row.
    pub truncated: usize,
}

/// A line of input; keys that are not named here are ignored.
#[derive(Deserialize)]
struct Request {
    text: String,
    #[serde(default)]
    text_pair: Option<String>,
}

/// Reads lines `{"text": .., "text_pair"?: ..}` and writes, in order, a line `{"embedding": [..]}`
/// or `{"logits": [..], "label": ".."}` for each. `batch_size` lines go through the engine at once.
///
/// # Errors
/// At the first line that is no request, or when the engine or a stream fails.
pub fn predict(
    engine: &mut dyn Engine,
    tokenizer: &Tokenizer,
    batch_size: usize,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    reporter: &dyn Reporter,
) -> Result<Predicted, PredictError> {
    let mut done = Predicted::default();
    let mut lines = Lines { input, line: 0 };
    loop {
        let mut batch = Batch::new();
        while batch.rows() < batch_size
            && let Some(request) = lines.next()?
        {
            let encoding = tokenizer.encode(&request.text, request.text_pair.as_deref())?;
            done.truncated += usize::from(encoding.truncated);
            batch.push(&encoding.ids, &encoding.type_ids);
        }
        if batch.rows() == 0 {
            output.flush()?;
            return Ok(done);
        }
        let result = engine.predict(&batch)?;
        if reporter.interrupted() {
            return Err(PredictError::Interrupted);
        }
        for row in 0..result.rows {
            let answer = answer(engine, result.row(row), done.rows + row)?;
            serde_json::to_writer(&mut *output, &answer).map_err(std::io::Error::from)?;
            output.write_all(b"\n")?;
        }
        done.rows += result.rows;
    }
}

struct Lines<'a> {
    input: &'a mut dyn BufRead,
    line: usize,
}

impl Lines<'_> {
    /// The next request, blank lines passed over; `None` at the end.
    fn next(&mut self) -> Result<Option<Request>, PredictError> {
        loop {
            let mut bytes = Vec::new();
            let limit = LINE_LIMIT as u64 + 1;
            if std::io::Read::take(&mut *self.input, limit).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            let refuse = |reason: String| PredictError::Input { line: self.line, reason };
            if bytes.len() > LINE_LIMIT {
                return Err(refuse(format!("is longer than {LINE_LIMIT} bytes")));
            }
            let text = std::str::from_utf8(&bytes).map_err(|error| refuse(error.to_string()))?;
            let text = if self.line == 1 { text.trim_start_matches('\u{feff}') } else { text };
            if !text.trim().is_empty() {
                let expected = "expected `{\"text\": \"..\", \"text_pair\"?: \"..\"}`";
                return serde_json::from_str(text)
                    .map(Some)
                    .map_err(|error| refuse(format!("{error}; {expected}")));
            }
        }
    }
}

/// A line of output.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Embedding {
        embedding: &'a [f32],
    },
    Logits {
        logits: &'a [f32],
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<&'a str>,
    },
}

fn answer<'a>(
    engine: &'a dyn Engine,
    vector: &'a [f32],
    row: usize,
) -> Result<Answer<'a>, EngineError> {
    if let Some(place) = vector.iter().position(|x| !x.is_finite()) {
        let reason = format!("the model gives {} at place {place}", vector[place]);
        return Err(EngineError::Row { row, reason });
    }
    let info = engine.info();
    Ok(match info.output {
        OutputKind::Embedding => Answer::Embedding { embedding: vector },
        OutputKind::Logits => {
            // One logit is a score, which has no label.
            let label = info.labels.get(largest(vector)).filter(|_| vector.len() > 1);
            Answer::Logits { logits: vector, label: label.map(String::as_str) }
        }
    })
}

/// The place of the largest number, the first of equals.
pub(crate) fn largest(vector: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in vector.iter().enumerate() {
        if *value > vector[best] {
            best = place;
        }
    }
    best
}
