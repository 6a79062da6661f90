//! Opening data files: regular ones only, unpacked if need be, as lines of checked length.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::EvalError;

/// The longest line and field, in bytes.
pub(super) const LINE_LIMIT: usize = 16 << 20;
/// The most bytes that a packed file may unpack to.
const UNPACKED_LIMIT: u64 = 64 << 30;

/// Refuses folders, pipes and devices, which could block for ever.
pub(super) fn check_regular(path: &Path) -> Result<(), EvalError> {
    let metadata = std::fs::metadata(path).map_err(EvalError::io(path))?;
    if metadata.is_file() { Ok(()) } else { Err(EvalError::file(path, "is no regular file")) }
}

/// The file's bytes, unpacked if its name ends in `.gz`.
pub(super) fn bytes(path: &Path) -> Result<Box<dyn BufRead>, EvalError> {
    let file = File::open(path).map_err(EvalError::io(path))?;
    if path.extension().is_some_and(|ending| ending == "gz") {
        let unpacked = MultiGzDecoder::new(file).take(UNPACKED_LIMIT);
        return Ok(Box::new(BufReader::new(unpacked)));
    }
    Ok(Box::new(BufReader::new(file)))
}

/// The lines of a text file, without their ends: `\n`, `\r\n`; a byte order mark is passed over.
pub(super) struct Lines<'a> {
    path: &'a Path,
    reader: Box<dyn BufRead>,
    /// 1-based number of the line last read.
    pub(super) line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self, EvalError> {
        Ok(Self { path, reader: bytes(path)?, line: 0 })
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>, EvalError> {
        let mut line = Vec::new();
        let mut limited = Read::take(&mut self.reader, LINE_LIMIT as u64 + 1);
        if limited.read_until(b'\n', &mut line).map_err(EvalError::io(self.path))? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if line.len() > LINE_LIMIT {
            return Err(self.refuse(format!("is longer than {LINE_LIMIT} bytes")));
        }
        if self.line == 1 {
            check_encoding(self.path, &line)?;
            if line.starts_with(b"\xef\xbb\xbf") {
                line.drain(..3);
            }
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if line.contains(&0) {
            return Err(self.refuse("holds a NUL byte".to_owned()));
        }
        String::from_utf8(line).map(Some).map_err(|error| {
            let column = error.utf8_error().valid_up_to() + 1;
            self.refuse(format!("is not UTF-8 from byte {column} on"))
        })
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
