//! The zip container of torch files, read strictly enough that it means one thing to everyone.
//!
//! Format: APPNOTE.TXT 6.3.10 of PKWARE. The central directory alone says what there is; local
//! headers must agree with it; entries fill the file from its first byte to the directory without
//! overlap, and the end record is the file's last byte. Nothing is ever extracted.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::read::Input;
use crate::{CheckpointError, shown};

const ENTRY_LIMIT: u64 = 1_000_000;
const DIRECTORY_LIMIT: u64 = 256 << 20;
/// DEFLATE cannot exceed about 1032 to 1.
const RATIO_LIMIT: u64 = 1100;
const NAME_LIMIT: usize = 4096;

const END_SIZE: u64 = 22;
const LOCATOR_SIZE: u64 = 20;
const END64_SIZE: u64 = 56;
const CENTRAL_SIZE: usize = 46;
const LOCAL_SIZE: u64 = 30;

/// Flags that change nothing here: two bits of DEFLATE's level, sizes in a descriptor, UTF-8 names.
const FLAGS: u16 = 1 << 1 | 1 << 2 | DESCRIPTOR | 1 << 11;
const DESCRIPTOR: u16 = 1 << 3;
const DEFLATED: u16 = 8;

/// A file of the container.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Its bytes in the container.
    pub(super) range: Range<u64>,
    pub(super) is_deflated: bool,
    /// Bytes of its content.
    pub(super) size: u64,
    /// CRC-32 of its content.
    pub(super) crc: u32,
}

/// All files of the container, in the order of the directory.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

/// Little-endian fields of a record whose length is known.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, count: usize) -> Option<u64> {
        let bytes = self.take(count)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn u16(&mut self) -> Option<u16> {
        self.number(2).map(|number| number as u16)
    }

    fn u32(&mut self) -> Option<u32> {
        self.number(4).map(|number| number as u32)
    }
}

/// Where the directory is, and how many entries it has.
struct End {
    directory: Range<u64>,
    entries: u64,
}

/// An entry as the directory states it.
struct Central {
    entry: Entry,
    flags: u16,
    method: u16,
    packed: u64,
    local: u64,
}

impl Directory {
    /// Reads and checks the container.
    ///
    /// # Errors
    /// When it cannot be read, or breaks a rule.
    pub(super) fn read(input: &Input) -> Result<Self, CheckpointError> {
        let end = find_end(input)?;
        let bytes = input.read_range(end.directory.clone())?;
        let mut fields = Fields(&bytes);
        let mut centrals = Vec::new();
        let mut places = HashMap::new();
        for place in 0..end.entries {
            let at = end.directory.end - fields.0.len() as u64;
            let central = central(&mut fields)
                .map_err(|rule| input.refuse(format!("zip directory, byte {at}: {rule}")))?;
            let name = central.entry.name.clone();
            if places.insert(name.clone(), place as usize).is_some() {
                let name = shown(&name);
                return Err(input.refuse(format!("zip entry `{name}` stands twice")));
            }
            centrals.push(central);
        }
        if !fields.0.is_empty() {
            let rest = fields.0.len();
            return Err(input.refuse(format!("zip directory: {rest} bytes belong to no entry")));
        }
        place_all(&mut centrals, input, end.directory.start)?;
        Ok(Self { entries: centrals.into_iter().map(|central| central.entry).collect(), places })
    }

    /// The entry of that name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.places.get(name).map(|place| &self.entries[*place])
    }
}

impl Entry {
    /// The content, at most `limit` bytes, checked against its CRC-32.
    ///
    /// # Errors
    /// When it is larger, damaged, or cannot be read.
    pub(super) fn content(&self, input: &Input, limit: u64) -> Result<Vec<u8>, CheckpointError> {
        let refuse =
            |rule: String| Err(input.refuse(format!("zip entry `{}`: {rule}", shown(&self.name))));
        let packed = self.range.end - self.range.start;
        if self.size > limit || packed > limit {
            return refuse(format!("{} bytes, at most {limit}", self.size.max(packed)));
        }
        let mut content = input.read_range(self.range.clone())?;
        if self.is_deflated {
            let mut inflated = Vec::new();
            let decoder = DeflateDecoder::new(content.as_slice());
            if let Err(error) = decoder.take(self.size + 1).read_to_end(&mut inflated) {
                return refuse(format!("cannot be inflated: {error}"));
            }
            content = inflated;
        }
        if content.len() as u64 != self.size {
            return refuse(format!("does not have the {} bytes that it states", self.size));
        }
        let mut crc = Crc::new();
        crc.update(&content);
        if crc.sum() == self.crc { Ok(content) } else { refuse(crc_rule(crc.sum(), self.crc)) }
    }
}

/// Why a content is damaged.
pub(super) fn crc_rule(found: u32, stated: u32) -> String {
    format!("CRC-32 is {found:08x}, expected {stated:08x}: the file is damaged")
}

/// Finds the end record, and zip64's before it where there is one. A comment is refused, as it could
/// hold a second end record.
fn find_end(input: &Input) -> Result<End, CheckpointError> {
    let refuse = |rule: &str| input.refuse(format!("zip end record: {rule}"));
    let at = input.length().checked_sub(END_SIZE);
    let at = at.ok_or_else(|| refuse("the file is too short"))?;
    let bytes = input.read_range(at..input.length())?;
    let read = || {
        let mut fields = Fields(bytes.strip_prefix(b"PK\x05\x06")?);
        let disks = [fields.u16()?, fields.u16()?];
        let counts = [fields.number(2)?, fields.number(2)?];
        let (size, start, comment) = (fields.number(4)?, fields.number(4)?, fields.u16()?);
        Some((disks, counts, size, start, comment))
    };
    let (disks, counts, mut size, mut start, comment) =
        read().ok_or_else(|| refuse("it is not at the end: the file is truncated or continued"))?;
    if comment != 0 || disks != [0, 0] || counts[0] != counts[1] {
        return Err(refuse("comments and several disks are not supported"));
    }
    let mut entries = counts[0];
    let mut directory_end = at;
    if let Some(locator) = at.checked_sub(LOCATOR_SIZE) {
        let bytes = input.read_range(locator..at)?;
        if let Some(rest) = bytes.strip_prefix(b"PK\x06\x07") {
            let wide = end64(input, Fields(rest), locator)
                .and_then(|record| record.ok_or_else(|| refuse("zip64's record is wrong")))?;
            let [wide_entries, wide_size, wide_start] = wide.numbers;
            for (narrow, limit, wide) in [
                (&mut entries, 0xffff, wide_entries),
                (&mut size, 0xffff_ffff, wide_size),
                (&mut start, 0xffff_ffff, wide_start),
            ] {
                if *narrow != limit && *narrow != wide {
                    return Err(refuse("zip64's record contradicts it"));
                }
                *narrow = wide;
            }
            directory_end = wide.at;
        }
    }
    if entries > ENTRY_LIMIT || size > DIRECTORY_LIMIT {
        return Err(refuse(&format!("{entries} entries in {size} bytes are too many")));
    }
    if start.checked_add(size) != Some(directory_end) {
        return Err(refuse(&format!(
            "the directory has {size} bytes at {start}, but must end at {directory_end}"
        )));
    }
    Ok(End { directory: start..directory_end, entries })
}

/// Entries, bytes and start of the directory, by zip64's end record at the byte `at`.
struct End64 {
    at: u64,
    numbers: [u64; 3],
}

/// The record that the `locator` at that byte points to; `None` when it breaks a rule.
fn end64(
    input: &Input,
    mut locator: Fields,
    locator_at: u64,
) -> Result<Option<End64>, CheckpointError> {
    let place = || Some((locator.u32()?, locator.number(8)?, locator.u32()?));
    let Some((0, at, 1)) = { place }() else { return Ok(None) };
    // The record without extensions, which nobody writes, ends where its locator begins.
    if at.checked_add(END64_SIZE) != Some(locator_at) {
        return Ok(None);
    }
    let bytes = input.read_range(at..locator_at)?;
    let record = || {
        let mut fields = Fields(bytes.strip_prefix(b"PK\x06\x06")?);
        let size = fields.number(8)?;
        fields.take(4)?;
        let disks = fields.number(8)?;
        let (here, entries) = (fields.number(8)?, fields.number(8)?);
        let numbers = [entries, fields.number(8)?, fields.number(8)?];
        (size == END64_SIZE - 12 && disks == 0 && here == entries).then_some(End64 { at, numbers })
    };
    Ok(record())
}

/// The directory's next entry.
fn central(fields: &mut Fields) -> Result<Central, String> {
    let short = || "the entry is cut off".to_owned();
    let mut record = Fields(fields.take(CENTRAL_SIZE).ok_or_else(short)?);
    if record.take(4) != Some(b"PK\x01\x02") {
        return Err("is no entry".to_owned());
    }
    let mut next = |count| record.number(count).ok_or_else(short);
    let _versions = next(4)?;
    let (flags, method) = (next(2)? as u16, next(2)? as u16);
    let _time = next(4)?;
    let crc = next(4)? as u32;
    let (mut packed, mut size) = (next(4)?, next(4)?);
    let lengths = [next(2)?, next(2)?, next(2)?];
    let (disk, _internal, external, mut local) = (next(2)?, next(2)?, next(4)?, next(4)?);
    let [name, extra, comment] = lengths.map(|length| fields.take(length as usize));
    let name = name.ok_or_else(short)?;
    let name = std::str::from_utf8(name).map_err(|_| "a name that is no UTF-8".to_owned())?;
    let refuse = |rule: &str| Err(format!("entry `{}`: {rule}", shown(name)));
    if !is_plain(name) {
        return refuse("its name is no plain relative path");
    }
    let wide = wide_sizes(extra.ok_or_else(short)?, [&mut size, &mut packed, &mut local]);
    if comment.is_none() || wide.is_none() {
        return refuse("its extra fields are wrong");
    }
    if flags & !FLAGS != 0 || disk != 0 {
        return refuse(&format!("encrypted, masked or split (flags {flags:#06x})"));
    }
    if method != 0 && method != DEFLATED {
        return refuse(&format!("compression method {method}, known are 0 and {DEFLATED}"));
    }
    if external >> 16 & 0xf000 == 0xa000 {
        return refuse("it is a symbolic link");
    }
    if method == 0 && packed != size || size > packed.saturating_mul(RATIO_LIMIT) {
        return refuse(&format!("{packed} bytes cannot hold {size}"));
    }
    let (name, is_deflated) = (name.to_owned(), method == DEFLATED);
    let entry = Entry { name, range: 0..0, is_deflated, size, crc };
    Ok(Central { entry, flags, method, packed, local })
}

/// Replaces each number that is all ones by its place in the zip64 field of `extra`; `None` when that
/// lacks it, or fields do not fill their bytes.
fn wide_sizes(extra: &[u8], numbers: [&mut u64; 3]) -> Option<()> {
    let mut fields = Fields(extra);
    let mut wide = None;
    while !fields.0.is_empty() {
        let (id, length) = (fields.u16()?, fields.u16()?);
        let content = fields.take(usize::from(length))?;
        if id == 1 && wide.replace(Fields(content)).is_some() {
            return None;
        }
    }
    for number in numbers {
        if *number == 0xffff_ffff {
            *number = wide.as_mut()?.number(8)?;
        }
    }
    Some(())
}

/// A relative path of plain parts.
fn is_plain(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    name.len() <= NAME_LIMIT
        && name.split('/').all(part)
        && !name.contains(['\\', ':'])
        && !name.contains(char::is_control)
}

/// Finds every entry's bytes by its local header; they fill the file up to `end`.
fn place_all(centrals: &mut [Central], input: &Input, end: u64) -> Result<(), CheckpointError> {
    let mut order: Vec<&mut Central> = centrals.iter_mut().collect();
    order.sort_by_key(|central| central.local);
    let mut known = 0;
    let mut has_descriptor = false;
    for central in order {
        let gap = central.local.checked_sub(known);
        let refuse = |rule: &str| {
            input.refuse(format!("zip entry `{}`: {rule}", shown(&central.entry.name)))
        };
        // A descriptor has 12 bytes, 8 more with wide sizes and 4 more with a signature.
        let may_lie_between = match gap {
            Some(0) => !has_descriptor,
            Some(12 | 16 | 20 | 24) => has_descriptor,
            _ => false,
        };
        if !may_lie_between {
            let at = central.local;
            return Err(refuse(&format!("begins at {at}, the bytes before end at {known}")));
        }
        let start = local(central, input, end).and_then(|start| {
            start
                .ok_or_else(|| refuse("its local header lies outside or contradicts the directory"))
        })?;
        central.entry.range = start..start + central.packed;
        known = central.entry.range.end;
        has_descriptor = central.flags & DESCRIPTOR != 0;
    }
    match end.checked_sub(known) {
        Some(0) if !has_descriptor => Ok(()),
        Some(12 | 16 | 20 | 24) if has_descriptor => Ok(()),
        _ => {
            Err(input.refuse(format!("zip: entries end at {known}, the directory begins at {end}")))
        }
    }
}

/// Where the data of an entry begin; `None` when its local header lies outside or contradicts the
/// directory.
fn local(central: &Central, input: &Input, end: u64) -> Result<Option<u64>, CheckpointError> {
    let name = central.entry.name.as_bytes();
    let named = central.local.checked_add(LOCAL_SIZE + name.len() as u64);
    let Some(named) = named.filter(|named| *named <= end) else { return Ok(None) };
    let bytes = input.read_range(central.local..named)?;
    let read = || {
        let mut fields = Fields(bytes.strip_prefix(b"PK\x03\x04")?);
        fields.take(2)?;
        let (flags, method) = (fields.u16()?, fields.u16()?);
        fields.take(4)?;
        let (crc, packed, size) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let (name_length, extra) = (fields.u16()?, fields.u16()?);
        let start = named.checked_add(u64::from(extra))?;
        let agrees = |narrow: u32, wide: u64| narrow == u32::MAX || u64::from(narrow) == wide;
        let sizes = flags & DESCRIPTOR != 0
            || crc == central.entry.crc
                && agrees(packed, central.packed)
                && agrees(size, central.entry.size);
        let good = (flags, method) == (central.flags, central.method)
            && usize::from(name_length) == name.len()
            && fields.0 == name
            && sizes
            && start.checked_add(central.packed)? <= end;
        good.then_some(start)
    };
    Ok(read())
}
