//! Messages between a worker and the program that measures it.
//!
//! A message is one line of JSON, followed by as many raw bytes as its `bytes` says. Numbers in raw
//! bytes are little-endian. The worker answers every request with one reply.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Batch, EngineInfo};

/// Raised when a message changes; both sides must have the same.
pub const VERSION: u32 = 2;

const LINE_LIMIT: u64 = 64 << 20;
const PAYLOAD_LIMIT: u64 = 4 << 30;

/// What a worker is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// Say when everything is imported and nothing loaded: the process is then as large as it is without
    /// a model.
    Ready,
    /// Load a model folder.
    Load {
        /// [`VERSION`] of the asking side.
        protocol: u32,
        /// The folder.
        model: PathBuf,
        /// Threads to compute with.
        threads: usize,
    },
    /// Keep these token rows. Raw: `offsets u32[rows + 1]`, `ids u32[tokens]`, `type_ids u32[tokens]`.
    Rows {
        /// Number of rows.
        rows: usize,
        /// Number of tokens.
        tokens: usize,
        /// Raw bytes that follow.
        bytes: usize,
    },
    /// Vectors of all rows kept, computed about `batch` rows at a time, in order.
    Predict {
        /// Rows per call, at most.
        batch: usize,
    },
    /// Compute the rows `start..end`, `batch` at a time, in order, and say how long it took.
    Time {
        /// First row.
        start: usize,
        /// Row after the last.
        end: usize,
        /// Rows per call.
        batch: usize,
    },
    /// End.
    Quit,
}

/// What a worker answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// Everything is imported.
    Ready,
    /// The model is loaded.
    Loaded {
        /// What runs.
        info: EngineInfo,
        /// Seconds that loading took, imports not counted.
        load_seconds: f64,
    },
    /// The rows are kept.
    Kept,
    /// Vectors. Raw: `f32[rows, cols]`.
    Output {
        /// Number of vectors.
        rows: usize,
        /// Their length.
        cols: usize,
        /// Raw bytes that follow.
        bytes: usize,
    },
    /// Times.
    Timed {
        /// Nanoseconds of each call, by the worker's monotonic clock.
        call_ns: Vec<u64>,
        /// Tokens computed, padding not counted.
        tokens: usize,
        /// Tokens computed, padding counted.
        padded_tokens: usize,
    },
    /// The request failed; the worker goes on.
    Failed {
        /// Why.
        error: String,
    },
}

impl Request {
    /// The number of raw bytes that follow.
    fn payload(&self) -> usize {
        if let Self::Rows { bytes, .. } = self { *bytes } else { 0 }
    }
}

impl Reply {
    /// The number of raw bytes that follow.
    fn payload(&self) -> usize {
        if let Self::Output { bytes, .. } = self { *bytes } else { 0 }
    }
}

/// Writes a request or reply with its raw bytes.
///
/// # Errors
/// When the stream fails.
pub fn write(
    output: &mut dyn Write,
    message: &impl Serialize,
    payload: &[u8],
) -> std::io::Result<()> {
    serde_json::to_writer(&mut *output, message)?;
    output.write_all(b"\n")?;
    output.write_all(payload)?;
    output.flush()
}

/// Reads a request with its raw bytes; `None` when the stream has ended.
///
/// # Errors
/// When the stream fails or holds something else.
pub fn read_request(input: &mut dyn BufRead) -> std::io::Result<Option<(Request, Vec<u8>)>> {
    read(input, Request::payload)
}

/// Reads a reply with its raw bytes; `None` when the stream has ended.
///
/// # Errors
/// When the stream fails or holds something else.
pub fn read_reply(input: &mut dyn BufRead) -> std::io::Result<Option<(Reply, Vec<u8>)>> {
    read(input, Reply::payload)
}

fn read<T: DeserializeOwned>(
    input: &mut dyn BufRead,
    payload: impl Fn(&T) -> usize,
) -> std::io::Result<Option<(T, Vec<u8>)>> {
    let mut line = Vec::new();
    if Read::take(&mut *input, LINE_LIMIT).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let message: T = serde_json::from_slice(&line).map_err(|error| {
        let start = String::from_utf8_lossy(&line[..line.len().min(200)]).into_owned();
        invalid(format!("{error} in `{}`", start.trim_end().escape_debug()))
    })?;
    let length = payload(&message) as u64;
    if length > PAYLOAD_LIMIT {
        return Err(invalid(format!("{length} raw bytes are more than {PAYLOAD_LIMIT}")));
    }
    // Read through `take`, so that a lying length allocates no more than what arrives.
    let mut bytes = Vec::new();
    Read::take(&mut *input, length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length {
        return Err(invalid(format!("{length} raw bytes were announced, {} came", bytes.len())));
    }
    Ok(Some((message, bytes)))
}

fn invalid(reason: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, reason)
}

/// The request that sends `batch`, with its raw bytes.
pub fn rows(batch: &Batch) -> (Request, Vec<u8>) {
    let offsets = batch.offsets.iter().map(|offset| *offset as u32);
    let numbers = offsets.chain(batch.ids.iter().copied()).chain(batch.type_ids.iter().copied());
    let payload: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
    let (rows, tokens, bytes) = (batch.rows(), batch.tokens(), payload.len());
    (Request::Rows { rows, tokens, bytes }, payload)
}

/// The batch that [`rows`] has sent.
///
/// # Errors
/// When the numbers are no batch of that size, with the reason.
pub fn batch(rows: usize, tokens: usize, payload: &[u8]) -> Result<Batch, String> {
    let numbers: Vec<u32> =
        payload.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let expected = rows.checked_add(1).and_then(|n| tokens.checked_mul(2)?.checked_add(n));
    if expected != Some(numbers.len()) {
        return Err(format!("{rows} rows of {tokens} tokens do not take {} bytes", payload.len()));
    }
    let (offsets, rest) = numbers.split_at(rows + 1);
    let (ids, type_ids) = rest.split_at(tokens);
    let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    if offsets[0] != 0 || offsets[rows] as usize != tokens || !ascending {
        return Err("the row offsets are not ascending from 0 to the number of tokens".to_owned());
    }
    Ok(Batch {
        ids: ids.to_vec(),
        type_ids: type_ids.to_vec(),
        offsets: offsets.iter().map(|offset| *offset as usize).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_survives_the_pipe() {
        let mut sent = Batch::new();
        sent.push(&[1, 2, 3], &[0, 0, 1]);
        sent.push(&[7], &[0]);
        let (request, payload) = rows(&sent);
        let mut pipe = Vec::new();
        write(&mut pipe, &request, &payload).expect("written");
        let (got, bytes) = read_request(&mut pipe.as_slice()).expect("read").expect("a message");
        let Request::Rows { rows, tokens, .. } = got else { panic!("{got:?}") };
        assert_eq!(batch(rows, tokens, &bytes), Ok(sent));
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(read_reply(&mut b"hello\n".as_slice()).is_err());
        let short = br#"{"reply":"output","rows":1,"cols":1,"bytes":4}"#;
        assert!(read_reply(&mut [short.as_slice(), b"\n\0"].concat().as_slice()).is_err());
        let huge = br#"{"reply":"output","rows":1,"cols":1,"bytes":99999999999}"#;
        assert!(read_reply(&mut huge.as_slice()).is_err());
        assert!(matches!(read_reply(&mut b"".as_slice()), Ok(None)));
        assert!(batch(1, 1, &[0; 12]).is_err());
        assert!(batch(usize::MAX, usize::MAX, &[0; 12]).is_err());
    }
}
