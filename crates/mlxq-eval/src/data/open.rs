//! Opening data files: regular ones only, unpacked if need be, as lines of checked length.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

use super::Encoding;
use crate::EvalError;

/// The longest line and field, in bytes.
pub(super) const LINE_LIMIT: usize = 16 << 20;
/// A packed file may unpack to this many times its size, and to the first number of bytes in any
/// case, to the second in none.
const UNPACKED_RATIO: u64 = 200;
const UNPACKED_BYTES: (u64, u64) = (1 << 30, 64 << 30);

/// Refuses folders, pipes and devices, which could block for ever; size and time of last change.
pub(super) fn regular(path: &Path) -> Result<(u64, Option<SystemTime>), EvalError> {
    let metadata = std::fs::metadata(path).map_err(EvalError::io(path))?;
    if !metadata.is_file() {
        return Err(EvalError::file(path, "is no regular file"));
    }
    Ok((metadata.len(), metadata.modified().ok()))
}

/// BLAKE3 of the file's bytes as they lie, in hexadecimal.
pub(super) fn blake3(path: &Path) -> Result<String, EvalError> {
    let mut hash = blake3::Hasher::new();
    let file = File::open(path).map_err(EvalError::io(path))?;
    hash.update_reader(file).map_err(EvalError::io(path))?;
    Ok(hash.finalize().to_string())
}

/// The file's bytes, unpacked if its name ends in `.gz` or `.zst`.
pub(super) fn bytes(path: &Path) -> Result<Box<dyn BufRead>, EvalError> {
    let file = File::open(path).map_err(EvalError::io(path))?;
    let packed = file.metadata().map_err(EvalError::io(path))?.len();
    let (least, most) = UNPACKED_BYTES;
    let left = packed.saturating_mul(UNPACKED_RATIO).clamp(least, most);
    Ok(match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => Box::new(BufReader::new(Unpacked { inner: MultiGzDecoder::new(file), left })),
        Some("zst") => {
            let inner = zstd::Decoder::new(file).map_err(EvalError::io(path))?;
            Box::new(BufReader::new(Unpacked { inner, left }))
        }
        _ => Box::new(BufReader::new(file)),
    })
}

/// The letters of a line or a field; else the 1-based byte from which on it is not UTF-8.
pub(super) fn decode(bytes: &[u8], encoding: Encoding) -> Result<Cow<'_, str>, usize> {
    match encoding {
        Encoding::Utf8 => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => Err(error.valid_up_to() + 1),
        },
        Encoding::Latin1 => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// What to do about bytes that are not UTF-8.
pub(super) const ENCODING_HINT: &str = "`encoding: latin-1` reads any bytes";

/// Unpacks, but not without end.
struct Unpacked<R> {
    inner: R,
    /// Bytes that may still come.
    left: u64,
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => return Err(std::io::Error::other("unpacks to far more than its size")),
        }
        Ok(count)
    }
}

/// The lines of a text file, without their ends: `\n`, `\r\n` or `\r`; a byte order mark is passed
/// over.
pub(super) struct Lines<'a> {
    path: &'a Path,
    reader: Box<dyn BufRead>,
    encoding: Encoding,
    /// Lines read and not yet given out: of a file whose lines end in `\r` alone.
    pending: VecDeque<Vec<u8>>,
    /// 1-based number of the line last read.
    pub(super) line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn open(path: &'a Path, encoding: Encoding) -> Result<Self, EvalError> {
        Ok(Self { path, reader: bytes(path)?, encoding, pending: VecDeque::new(), line: 0 })
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>, EvalError> {
        if self.pending.is_empty() && !self.fill()? {
            return Ok(None);
        }
        let line = self.pending.pop_front().unwrap_or_default();
        self.line += 1;
        if line.contains(&0) {
            return Err(self.refuse("holds a NUL byte".to_owned()));
        }
        match decode(&line, self.encoding) {
            Ok(text) => Ok(Some(text.into_owned())),
            Err(byte) => {
                Err(self.refuse(format!("is not UTF-8 from byte {byte} on; {ENCODING_HINT}")))
            }
        }
    }

    /// Reads up to the next `\n`; whether there was anything.
    fn fill(&mut self) -> Result<bool, EvalError> {
        let mut read = Vec::new();
        let mut limited = Read::take(&mut self.reader, LINE_LIMIT as u64 + 1);
        if limited.read_until(b'\n', &mut read).map_err(EvalError::io(self.path))? == 0 {
            return Ok(false);
        }
        if read.len() > LINE_LIMIT {
            self.line += 1;
            return Err(self.refuse(format!("is longer than {LINE_LIMIT} bytes")));
        }
        let mut line = read.as_slice();
        if self.line == 0 {
            check_encoding(self.path, line)?;
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        self.pending.extend(line.split(|byte| *byte == b'\r').map(<[u8]>::to_vec));
        Ok(true)
    }

    fn refuse(&self, reason: String) -> EvalError {
        EvalError::line(self.path, self.line, reason)
    }
}

/// Refuses UTF-16, which begins with its byte order mark.
pub(super) fn check_encoding(path: &Path, start: &[u8]) -> Result<(), EvalError> {
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Err(EvalError::file(path, "is UTF-16; save it as UTF-8"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bomb of a gigabyte would take long to unpack, so the limit is lowered instead.
    #[test]
    fn what_unpacks_without_end_is_stopped() {
        let mut endless = Unpacked { inner: std::io::repeat(b'x'), left: 10_000 };
        let error = endless.read_to_end(&mut Vec::new()).expect_err("a bomb");
        assert!(error.to_string().contains("far more than its size"), "{error}");
    }
}
