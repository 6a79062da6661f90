//! The pickle opcodes that a state dict needs, one after another, with their places.
//!
//! The set is that of torch's restricted reader (`torch/_weights_only_unpickler.py`); every other
//! opcode is refused by name. Reading them does nothing else.

use std::borrow::Cow;

/// The longest text, in bytes.
const TEXT_LIMIT: usize = 16 << 20;

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Op<'p> {
    Protocol,
    /// Module and name of something in Python.
    Global(&'p str, &'p str),
    Reduce,
    NewObject,
    Build,
    Mark,
    Stop,
    /// A tuple of all since the last mark.
    Tuple,
    /// A tuple of the last 0 to 3 values.
    TupleOf(usize),
    EmptyList,
    EmptyDict,
    EmptySet,
    Append,
    Appends,
    SetItem,
    SetItems,
    None,
    Bool(bool),
    Int(i64),
    /// A number that is neither needed nor kept: beyond 64 bits, or floating.
    Number,
    Text(&'p [u8]),
    PersistentId,
    Get(u32),
    Put(u32),
}

/// Why an instruction cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// The bytes end within the pickle.
    Short,
    /// A rule is broken, at a byte of the pickle.
    Rule(String),
}

/// The instructions of a pickle.
pub(super) struct Opcodes<'p> {
    bytes: &'p [u8],
    at: usize,
}

impl<'p> Opcodes<'p> {
    pub(super) fn new(bytes: &'p [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The byte at which the next instruction stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    fn take(&mut self, count: usize) -> Result<&'p [u8], Broken> {
        let taken = self.bytes[self.at..].get(..count).ok_or(Broken::Short)?;
        self.at += count;
        Ok(taken)
    }

    /// A little-endian number of `count` bytes, at most four.
    fn number(&mut self, count: usize) -> Result<u32, Broken> {
        let bytes = self.take(count)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn line(&mut self) -> Result<&'p str, Broken> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(Broken::Short)?;
        self.at += length + 1;
        let text = std::str::from_utf8(&rest[..length]);
        text.map_err(|_| Broken::Rule("a GLOBAL whose name is no UTF-8".to_owned()))
    }

    fn text(&mut self, length_bytes: usize) -> Result<Op<'p>, Broken> {
        let length = self.number(length_bytes)? as usize;
        if length > TEXT_LIMIT {
            return Err(Broken::Rule(format!("a text of {length} bytes, at most {TEXT_LIMIT}")));
        }
        Ok(Op::Text(self.take(length)?))
    }

    fn long(&mut self) -> Result<Op<'p>, Broken> {
        let count = self.number(1)? as usize;
        let bytes = self.take(count)?;
        let Some(last) = bytes.last() else { return Ok(Op::Int(0)) };
        // The missing high bytes repeat the sign.
        let mut wide = [if *last >= 0x80 { 0xff } else { 0 }; 8];
        let Some(low) = wide.get_mut(..count) else { return Ok(Op::Number) };
        low.copy_from_slice(bytes);
        Ok(Op::Int(i64::from_le_bytes(wide)))
    }

    /// The next instruction.
    ///
    /// # Errors
    /// When the bytes end, or it is not one of those that a state dict needs.
    pub(super) fn next(&mut self) -> Result<Op<'p>, Broken> {
        let code = self.take(1)?[0];
        Ok(match code {
            0x80 => match self.number(1)? {
                2 | 3 => Op::Protocol,
                version => {
                    return Err(Broken::Rule(format!("pickle protocol {version}, expected 2")));
                }
            },
            b'c' => Op::Global(self.line()?, self.line()?),
            b'R' => Op::Reduce,
            0x81 => Op::NewObject,
            b'b' => Op::Build,
            b'(' => Op::Mark,
            b'.' => Op::Stop,
            b't' => Op::Tuple,
            b')' => Op::TupleOf(0),
            0x85..=0x87 => Op::TupleOf(usize::from(code - 0x84)),
            b']' => Op::EmptyList,
            b'}' => Op::EmptyDict,
            0x8f => Op::EmptySet,
            b'a' => Op::Append,
            b'e' => Op::Appends,
            b's' => Op::SetItem,
            b'u' => Op::SetItems,
            b'N' => Op::None,
            0x88 => Op::Bool(true),
            0x89 => Op::Bool(false),
            b'J' => Op::Int(i64::from(self.number(4)?.cast_signed())),
            b'K' => Op::Int(self.number(1)?.into()),
            b'M' => Op::Int(self.number(2)?.into()),
            0x8a => self.long()?,
            b'G' => self.take(8).map(|_| Op::Number)?,
            b'X' => self.text(4)?,
            b'U' => self.text(1)?,
            b'Q' => Op::PersistentId,
            b'h' => Op::Get(self.number(1)?),
            b'j' => Op::Get(self.number(4)?),
            b'q' => Op::Put(self.number(1)?),
            b'r' => Op::Put(self.number(4)?),
            other => {
                return Err(Broken::Rule(format!("opcode {} is not allowed", opcode_name(other))));
            }
        })
    }
}

/// The name of an opcode that is not read, as in Python's `pickletools`.
fn opcode_name(code: u8) -> Cow<'static, str> {
    let name = match code {
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'V' => "UNICODE",
        b'd' => "DICT",
        b'g' => "GET",
        b'i' => "INST",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8c => "SHORT_BINUNICODE",
        0x8d => "BINUNICODE8",
        0x8e => "BINBYTES8",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x93 => "STACK_GLOBAL",
        0x94 => "MEMOIZE",
        0x95 => "FRAME",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        other => return format!("{other:#04x}").into(),
    };
    name.into()
}
