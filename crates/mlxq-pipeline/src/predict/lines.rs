//! Requests, read from lines of JSON.

use std::io::BufRead;

use serde::Deserialize;

use super::PredictError;

/// The longest line that is read, in bytes.
const LINE_LIMIT: usize = 16 << 20;

/// A line of input; keys that are not named here are ignored.
#[derive(Debug, Deserialize)]
pub(super) struct Request {
    pub(super) text: String,
    #[serde(default)]
    pub(super) text_pair: Option<String>,
    /// 1-based line of the input.
    #[serde(skip)]
    pub(super) line: usize,
}

impl Request {
    /// The error of a request that cannot be answered.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> PredictError {
        PredictError::Input { line: self.line, reason: reason.into() }
    }
}

/// The requests of an input.
pub(super) struct Lines<'a> {
    input: &'a mut dyn BufRead,
    line: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(input: &'a mut dyn BufRead) -> Self {
        Self { input, line: 0 }
    }

    /// The next request, blank lines passed over; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Request>, PredictError> {
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
                let request: Request = serde_json::from_str(text)
                    .map_err(|error| refuse(format!("{error}; {expected}")))?;
                return Ok(Some(Request { line: self.line, ..request }));
            }
        }
    }
}
