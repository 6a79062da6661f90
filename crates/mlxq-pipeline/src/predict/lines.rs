//! Requests, read from lines of JSON as they arrive.

use std::io::{ErrorKind, Read};

use serde::Deserialize;

use super::PredictError;

/// The longest line that is read, in bytes.
const LINE_LIMIT: usize = 16 << 20;
/// The most bytes of one read.
const READ: usize = 64 << 10;

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

    /// The request in the line `line`; `None` for a blank one.
    fn parse(bytes: &[u8], line: usize) -> Result<Option<Self>, PredictError> {
        let refuse = |reason: String| PredictError::Input { line, reason };
        if bytes.len() > LINE_LIMIT {
            return Err(refuse(format!("is longer than {LINE_LIMIT} bytes")));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| refuse(error.to_string()))?;
        let text = if line == 1 { text.trim_start_matches('\u{feff}') } else { text };
        if text.trim().is_empty() {
            return Ok(None);
        }
        let expected = "expected `{\"text\": \"..\", \"text_pair\"?: \"..\"}`";
        let request: Self =
            serde_json::from_str(text).map_err(|error| refuse(format!("{error}; {expected}")))?;
        Ok(Some(Self { line, ..request }))
    }
}

/// All texts of an input, each with its second text where it has one, blank lines passed over.
///
/// # Errors
/// At the first line that is no request, or when the input cannot be read.
pub(crate) fn texts(input: impl Read) -> Result<Vec<(String, Option<String>)>, PredictError> {
    let mut lines = Lines::new(input);
    let mut texts = Vec::new();
    while let Some(request) = lines.next()? {
        texts.push((request.text, request.text_pair));
    }
    Ok(texts)
}

/// The requests of an input.
///
/// A line is a request as soon as it is there: a read takes what has arrived, and no more of it is waited
/// for than the end of one line.
pub(super) struct Lines<R> {
    input: R,
    /// What was read and is not yet taken, from `taken` on.
    buffer: Vec<u8>,
    taken: usize,
    line: usize,
    ended: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, buffer: Vec::new(), taken: 0, line: 0, ended: false }
    }

    /// The next request, blank lines passed over; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Request>, PredictError> {
        loop {
            let length = self.line_length()?;
            if length == 0 {
                return Ok(None);
            }
            let line = &self.buffer[self.taken..self.taken + length];
            self.taken += length;
            self.line += 1;
            if let Some(request) = Request::parse(line, self.line)? {
                return Ok(Some(request));
            }
        }
    }

    /// Bytes of the line that comes next, its end counted; 0 at the end of the input. Of a line that is
    /// too long as many as show it.
    fn line_length(&mut self) -> Result<usize, PredictError> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(place) = rest[searched..].iter().position(|byte| *byte == b'\n') {
                return Ok(searched + place + 1);
            }
            if self.ended || rest.len() > LINE_LIMIT {
                return Ok(rest.len());
            }
            searched = rest.len();
            self.read()?;
        }
    }

    /// Reads what has arrived, once there is something.
    fn read(&mut self) -> Result<(), PredictError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let kept = self.buffer.len();
        self.buffer.resize(kept + READ, 0);
        let read = loop {
            match self.input.read(&mut self.buffer[kept..]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(kept + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and an error in between that means nothing.
    struct Drops<'a>(&'a [u8], bool);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(ErrorKind::Interrupted.into());
            }
            let (part, rest) = self.0.split_at(self.0.len().min(3));
            buffer[..part.len()].copy_from_slice(part);
            self.0 = rest;
            Ok(part.len())
        }
    }

    fn texts(input: impl Read) -> Vec<(usize, String)> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        while let Some(request) = lines.next().expect("good lines") {
            found.push((request.line, request.text));
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let input = "\u{feff}{\"text\": \"ä\"}\n\n \r\n{\"text\": \"b\"}\r\n{\"text\": \"c\"}";
        let expected = [(1, "ä".to_owned()), (4, "b".to_owned()), (5, "c".to_owned())];
        assert_eq!(texts(input.as_bytes()), expected);
        assert_eq!(texts(Drops(input.as_bytes(), false)), expected);
        assert!(texts(&b""[..]).is_empty() && texts(&b"\n\n"[..]).is_empty());
    }

    #[test]
    fn a_line_without_end_is_not_read_on() {
        let endless = std::io::repeat(b'x');
        let error = Lines::new(endless).next().expect_err("too long").to_string();
        assert_eq!(error, "input line 1: is longer than 16777216 bytes");
    }
}
