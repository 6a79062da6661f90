//! The older torch format: five pickles in a row, then the storages.
//!
//! A magic number, a protocol number, facts about the machine, the object, the storages' keys in
//! order; then for each key an 8-byte number of elements and the elements, always little-endian
//! (`_legacy_save` in `torch/serialization.py`).

use std::collections::HashMap;

use super::opcode::Broken;
use super::pickle::{Pickle, Value, scan};
use super::{PICKLE_LIMIT, Stored};
use crate::CheckpointError;
use crate::read::Input;

/// The pickle of 0x1950a86a20f9469cfc6c, with which every such file begins.
pub(super) const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// The pickle of 1001.
const PROTOCOL: &[u8] = b"\x80\x02M\xe9\x03.";
/// How much is read first.
const FIRST: u64 = 1 << 16;

/// The pickles of a file.
pub(super) struct Parts {
    bytes: Vec<u8>,
    /// Where the machine's facts, the object and the keys end.
    ends: [usize; 3],
}

impl Parts {
    /// Reads the pickles, and no more of the file than a few times their bytes.
    ///
    /// # Errors
    /// When they cannot be read or break a rule.
    pub(super) fn read(input: &Input) -> Result<Self, CheckpointError> {
        let limit = input.length().min(PICKLE_LIMIT);
        let mut length = FIRST.min(limit);
        loop {
            let bytes = input.read_range(0..length)?;
            let head = [MAGIC, PROTOCOL].concat();
            if bytes.len() >= head.len() && !bytes.starts_with(&head) {
                return Err(input.refuse("the protocol of its older torch format is not 1001"));
            }
            match ends(&bytes, head.len()) {
                Ok(ends) => return Ok(Self { bytes, ends }),
                Err((_, Broken::Short)) if length < limit => length = (4 * length).min(limit),
                Err((at, Broken::Short)) => {
                    return Err(input.refuse(format!("the pickle at byte {at} ends early")));
                }
                Err((at, Broken::Rule(rule))) => {
                    return Err(input.refuse(format!("the pickle at byte {at}: {rule}")));
                }
            }
        }
    }

    /// The object's pickle.
    ///
    /// # Errors
    /// When a pickle breaks a rule.
    pub(super) fn object(&self, input: &Input) -> Result<Pickle<'_>, CheckpointError> {
        let start = MAGIC.len() + PROTOCOL.len();
        let machine = self.parse(start, self.ends[0], input)?;
        let little = match machine.root() {
            Value::Dict(entries) => entries.iter().any(|(key, value)| {
                matches!(machine.get(*key), Value::Text(b"little_endian"))
                    && matches!(machine.get(*value), Value::Bool(true))
            }),
            _ => false,
        };
        if !little {
            return Err(input.refuse("was not written by a little-endian machine"));
        }
        self.parse(self.ends[0], self.ends[1], input)
    }

    fn parse(
        &self,
        start: usize,
        end: usize,
        input: &Input,
    ) -> Result<Pickle<'_>, CheckpointError> {
        Pickle::parse(&self.bytes[start..end])
            .map_err(|rule| input.refuse(format!("the pickle at byte {start}: {rule}")))
    }

    /// Where the storages of `object` lie, in its order.
    ///
    /// # Errors
    /// When the keys or sizes contradict it, or the file ends before.
    pub(super) fn storages(
        &self,
        object: &Pickle,
        input: &Input,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Stored>, CheckpointError> {
        let keys = self.parse(self.ends[1], self.ends[2], input)?;
        let Value::List(items) = keys.root() else {
            return Err(input.refuse("its last pickle is no list of storages"));
        };
        let mut found: HashMap<&str, Stored> = HashMap::new();
        let by_key: HashMap<&str, _> = object.storages.iter().map(|id| (id.key, id)).collect();
        let mut at = self.ends[2] as u64;
        for item in items {
            let key = match keys.get(*item) {
                Value::Text(key) => std::str::from_utf8(key).ok(),
                _ => None,
            };
            let id = key.and_then(|key| by_key.get(key));
            let Some(id) = id else {
                return Err(input.refuse("lists a storage that no tensor uses"));
            };
            let refuse = |rule: String| input.refuse(format!("storage `{}`: {rule}", id.key));
            if input.length().saturating_sub(at) < 8 {
                return Err(refuse(format!("the file ends before it, at {at}")));
            }
            let mut count = [0; 8];
            input.read_at(&mut count, at)?;
            let count = u64::from_le_bytes(count);
            if count != id.elements {
                return Err(refuse(format!("has {count} elements, expected {}", id.elements)));
            }
            at += 8;
            let bytes = count.checked_mul(id.dtype.size() as u64);
            let bytes = bytes.filter(|bytes| *bytes <= input.length() - at);
            let bytes =
                bytes.ok_or_else(|| refuse(format!("{count} elements at {at} leave the file")))?;
            if found.insert(id.key, Stored::new(at, bytes, None)).is_some() {
                return Err(refuse("is listed twice".to_owned()));
            }
            at += bytes;
        }
        if at < input.length() {
            notes.push(format!("{} bytes after the last storage", input.length() - at));
        }
        let mut take = |key: &str| {
            let stored = found.remove(key);
            stored.ok_or_else(|| input.refuse(format!("storage `{key}` is not in the file")))
        };
        object.storages.iter().map(|id| take(id.key)).collect()
    }
}

/// Where the three pickles after `start` end; else the pickle that is broken.
fn ends(bytes: &[u8], start: usize) -> Result<[usize; 3], (usize, Broken)> {
    let mut at = start;
    let mut ends = [0; 3];
    for end in &mut ends {
        let rest = bytes.get(at..).ok_or((at, Broken::Short))?;
        at += scan(rest).map_err(|broken| (at, broken))?;
        *end = at;
    }
    Ok(ends)
}
