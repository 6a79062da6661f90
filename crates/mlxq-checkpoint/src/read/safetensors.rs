//! The safetensors format, read strictly: names once, ranges without holes, sizes that add up.
//!
//! Format: an 8-byte little-endian header length, a JSON header `name → {dtype, shape,
//! data_offsets}` and the data. Where the safetensors and MLX readers differ in what they accept,
//! this one takes the stricter side, so that a file means one thing to everyone.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde_json::{Map, Value};

use super::Input;
use super::limits::{
    TENSOR_LIMIT, byte_size, check_name, check_rank, dimension, unsupported_dtype,
};
use crate::tensor::{Dtype, TensorBytes, TensorInfo, TensorSource};
use crate::{CheckpointError, json, shown};

/// The least number of bytes that are mapped: to read fewer is cheaper.
const LEAST_MAPPED: usize = 1 << 16;
/// The longest header, as in the safetensors library.
const HEADER_LIMIT: u64 = 100_000_000;

/// One safetensors file.
#[derive(Debug)]
pub struct Safetensors {
    input: Input,
    tensors: Vec<TensorInfo>,
    /// Name → place in `tensors` and range of bytes in the file.
    places: HashMap<String, (usize, Range<usize>)>,
    notes: Vec<String>,
}

impl Safetensors {
    /// Opens and checks the file at `path`; no tensor is read yet.
    ///
    /// # Errors
    /// When the file cannot be read or its header breaks a rule, with the tensor and both numbers.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::read(Input::open(path)?)
    }

    /// Checks the file behind `input`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn read(input: Input) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| input.refuse(reason);
        let length = input.length();
        let mut start = [0; 8];
        if length >= 8 {
            input.read_at(&mut start, 0)?;
        }
        let data_start = header_end(start, length).map_err(refuse)?;
        let header = input.read_range(8..data_start as u64)?;
        let header = parse_header(&header).map_err(|reason| refuse(format!("header: {reason}")))?;
        let data_length = usize::try_from(length - data_start as u64)
            .map_err(|_| refuse(format!("{length} bytes are too many for this machine")))?;
        let mut notes = Vec::new();
        let entries = entries(&header, &mut notes).map_err(refuse)?;
        check_ranges(&entries, data_length).map_err(refuse)?;
        let mut tensors = Vec::with_capacity(entries.len());
        let mut places = HashMap::with_capacity(entries.len());
        for (place, Entry { info, range }) in entries.into_iter().enumerate() {
            let range = range.start + data_start..range.end + data_start;
            places.insert(info.name.clone(), (place, range));
            tensors.push(info);
        }
        Ok(Self { input, tensors, places, notes })
    }

    /// What is odd but harmless, for a warning.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

impl TensorSource for Safetensors {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.places.get(name).map(|(place, _)| &self.tensors[*place])
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let (place, range) =
            self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        self.tensors[*place].check_part(&part)?;
        buffer.clear();
        buffer.resize(part.len(), 0);
        let offset = (range.start + part.start) as u64;
        self.input.read_at(buffer, offset)?;
        check_bool(&self.tensors[*place], buffer, self.input.path())
    }

    fn bytes(&self, name: &str, part: Range<usize>) -> Result<TensorBytes, CheckpointError> {
        let (place, range) =
            self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        let info = &self.tensors[*place];
        info.check_part(&part)?;
        if part.len() >= LEAST_MAPPED && info.dtype != Dtype::Bool {
            let start = (range.start + part.start) as u64;
            if let Some(mapping) = self.input.map(start..start + part.len() as u64) {
                return Ok(mapping.into());
            }
        }
        self.read_bytes(name, part)
    }
}

/// Refuses truth values other than 0 and 1 among the bytes of a tensor of the file `path`.
pub(super) fn check_bool(
    info: &TensorInfo,
    bytes: &[u8],
    path: &Path,
) -> Result<(), CheckpointError> {
    if info.dtype != Dtype::Bool || bytes.iter().all(|byte| *byte <= 1) {
        return Ok(());
    }
    let reason = format!("holds a BOOL beyond 1, in `{}`", path.display());
    Err(CheckpointError::tensor(&info.name, reason))
}

/// A tensor and its range in the data.
struct Entry {
    info: TensorInfo,
    range: Range<usize>,
}

/// Where the header ends and the data begins, by the first bytes of a file of `file_length`.
fn header_end(start: [u8; 8], file_length: u64) -> Result<usize, String> {
    let Some(room) = file_length.checked_sub(8) else {
        return Err(format!("too short for a safetensors file: {file_length} bytes"));
    };
    let length = u64::from_le_bytes(start);
    if length > room || length > HEADER_LIMIT {
        return Err(format!(
            "the header claims {length} bytes, but {room} follow and {HEADER_LIMIT} are allowed"
        ));
    }
    Ok(8 + length as usize)
}

/// An object with nothing around it but spaces.
fn parse_header(bytes: &[u8]) -> Result<Value, String> {
    match bytes.iter().find(|byte| **byte != b' ') {
        Some(b'{') | None => json::parse(bytes),
        Some(_) => Err("is no object (offset 8)".to_owned()),
    }
}

fn entries(header: &Value, notes: &mut Vec<String>) -> Result<Vec<Entry>, String> {
    let header = header.as_object().ok_or("the header is no object")?;
    if header.len() > TENSOR_LIMIT {
        return Err(format!("{} tensors are more than {TENSOR_LIMIT}", header.len()));
    }
    let mut entries = Vec::with_capacity(header.len());
    for (name, value) in header {
        if name == "__metadata__" {
            check_metadata(value)?;
        } else {
            let shown = shown(name);
            let entry = entry(name, value, notes);
            entries.push(entry.map_err(|reason| format!("tensor `{shown}`: {reason}"))?);
        }
    }
    Ok(entries)
}

fn check_metadata(value: &Value) -> Result<(), String> {
    let texts = value.as_object().is_some_and(|map| map.values().all(Value::is_string));
    if texts { Ok(()) } else { Err("`__metadata__` is no object of texts".to_owned()) }
}

fn entry(name: &str, value: &Value, notes: &mut Vec<String>) -> Result<Entry, String> {
    check_name(name)?;
    let fields = value.as_object().ok_or("its entry is no object")?;
    let known = ["dtype", "shape", "data_offsets"];
    if let Some(field) = fields.keys().find(|field| !known.contains(&field.as_str())) {
        let (name, field) = (shown(name), shown(field));
        notes.push(format!("tensor `{name}` has an unknown field `{field}` in its header"));
    }
    let dtype = dtype(fields)?;
    let shape = shape(fields)?;
    let bytes = byte_size(dtype, &shape)?;
    let range = range(fields)?;
    if range.len() != bytes {
        return Err(format!(
            "{dtype:?} {shape:?} takes {bytes} bytes, its range has {}",
            range.len()
        ));
    }
    let info = TensorInfo { name: name.to_owned(), dtype, shape };
    Ok(Entry { info, range })
}

fn dtype(fields: &Map<String, Value>) -> Result<Dtype, String> {
    let name = fields.get("dtype").and_then(Value::as_str).ok_or("has no `dtype`")?;
    Dtype::from_name(name).ok_or_else(|| unsupported_dtype(name))
}

fn shape(fields: &Map<String, Value>) -> Result<Vec<usize>, String> {
    let shape = fields.get("shape").and_then(Value::as_array).ok_or("has no `shape`")?;
    check_rank(shape.len())?;
    let size = |value: &Value| dimension(value.as_u64(), value);
    shape.iter().map(size).collect()
}

fn range(fields: &Map<String, Value>) -> Result<Range<usize>, String> {
    let offsets = fields.get("data_offsets").and_then(Value::as_array);
    let numbers: Option<Vec<usize>> = offsets
        .and_then(|list| list.iter().map(|x| x.as_u64().and_then(|x| x.try_into().ok())).collect());
    match numbers.as_deref() {
        Some([start, end]) if start <= end => Ok(*start..*end),
        _ => Err("`data_offsets` is no pair of ascending offsets".to_owned()),
    }
}

/// The ranges follow each other without hole or overlap and fill the data.
fn check_ranges(entries: &[Entry], data_length: usize) -> Result<(), String> {
    let mut order: Vec<&Entry> = entries.iter().collect();
    order.sort_by_key(|entry| (entry.range.start, entry.range.end));
    let mut end = 0;
    for Entry { info, range } in order {
        let name = shown(&info.name);
        if range.start != end {
            let what =
                if range.start < end { "overlaps the tensor before" } else { "leaves a hole" };
            return Err(format!(
                "tensor `{name}` begins at {}, expected {end}: it {what}",
                range.start
            ));
        }
        end = range.end;
        if end > data_length {
            return Err(format!("tensor `{name}` ends at {end}, the data has {data_length} bytes"));
        }
    }
    if end < data_length {
        return Err(format!("{} bytes after the last tensor belong to none", data_length - end));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<Safetensors, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.safetensors");
        std::fs::write(&path, bytes).expect("written");
        Safetensors::open(&path).map_err(|error| error.to_string())
    }

    fn one(fields: &str) -> String {
        format!("{{\"a\":{{{fields}}}}}")
    }

    #[test]
    fn good_files_are_read() {
        let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},
            "a":{"dtype":"F32","shape":[],"data_offsets":[3,7],"note":1},"z":{"dtype":"F16","shape":[0,2],"data_offsets":[7,7]}}   "#;
        let mut bytes = file(header, 7);
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&1.5f32.to_le_bytes());
        let tensors = open(&bytes).expect("good");
        assert_eq!(tensors.tensors().len(), 3);
        let mut buffer = vec![9];
        tensors.read("a", &mut buffer).expect("a");
        assert_eq!(buffer, 1.5f32.to_le_bytes());
    }

    /// A file whose second tensor begins at an odd address, and what it holds.
    fn unaligned(path: &Path) -> Vec<u8> {
        let data: Vec<u8> =
            (0..LEAST_MAPPED as u32 + 5).map(|i| (i.wrapping_mul(i) >> 4) as u8).collect();
        let (end, count) = (data.len(), (data.len() - 1) / 4);
        let header = format!(
            r#"{{"a":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}},
            "b":{{"dtype":"F32","shape":[{count}],"data_offsets":[1,{end}]}}}}"#
        );
        let mut bytes = file(&header, 0);
        // The data begins at an even address, so that `b` does not.
        if bytes.len() % 2 == 1 {
            bytes = file(&format!("{header} "), 0);
        }
        bytes.extend_from_slice(&data);
        std::fs::write(path, bytes).expect("written");
        data
    }

    #[test]
    fn mapped_bytes_are_the_file_s_wherever_they_begin() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.safetensors");
        let data = unaligned(&path);
        let tensors = Safetensors::open(&path).expect("good");
        let all = LEAST_MAPPED + 4;
        for (range, is_mapped) in [(0..all, true), (3..all, true), (1..LEAST_MAPPED, false)] {
            let bytes = tensors.bytes("b", range.clone()).expect("there");
            assert_eq!(*bytes, data[1..][range.clone()], "{range:?}");
            assert_eq!(bytes.are_mapped(), is_mapped, "{range:?}");
            let read = tensors.read_bytes("b", range).expect("there");
            assert_eq!(*bytes, *read);
        }
        let bytes = tensors.bytes("b", 0..all).expect("there");
        assert_eq!(bytes.as_ptr() as usize % 2, 1, "an odd address");
        assert!(tensors.bytes("b", 0..all + 1).is_err());
        assert!(tensors.bytes("c", 0..1).is_err());
        if cfg!(unix) {
            std::fs::remove_file(&path).expect("removed");
            assert_eq!(*bytes, data[1..], "held beyond the file's name");
        }
    }

    #[test]
    fn a_file_cut_after_it_was_opened_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.safetensors");
        unaligned(&path);
        let tensors = Safetensors::open(&path).expect("good");
        let whole = std::fs::metadata(&path).expect("there").len();
        let file = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
        file.set_len(whole - 1).expect("cut");
        let error = tensors.bytes("b", 0..LEAST_MAPPED + 4).expect_err("cut").to_string();
        assert!(error.contains("x.safetensors"), "{error}");
    }

    /// Every case is an error in the column "ours" of the project's list of bad inputs, part 1.
    #[test]
    fn lying_headers_are_refused() {
        let f32x2 = r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#;
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![], "too short"),
            (vec![1, 2, 3], "too short"),
            (u64::MAX.to_le_bytes().to_vec(), "claims"),
            ([100u64.to_le_bytes().as_slice(), b"{}"].concat(), "claims"),
            (file("", 0), "empty"),
            (file("[]", 0), "no object"),
            (file("\n{}", 0), "no object"),
            (file("null", 0), "no object"),
            (file("{} x", 0), "column"),
            (file("{}\0", 0), "column"),
            (file("{}", 4), "belong to none"),
            (file(&format!("{{\"a\":{{{f32x2}}},\"a\":{{{f32x2}}}}}"), 8), "stands twice"),
            (file(&one(&format!("{f32x2},\"dtype\":\"F16\"")), 8), "stands twice"),
            (file(r#"{"__metadata__":{"a":1}}"#, 0), "texts"),
            (file(&one(f32x2), 7), "ends at 8"),
            (file(&one(f32x2), 9), "belong to none"),
            (file(&format!("{{\"a\":{{{f32x2}}},\"b\":{{{f32x2}}}}}"), 8), "overlaps"),
            (file(&one(r#""dtype":"F32","shape":[1],"data_offsets":[4,8]"#), 8), "hole"),
            (file(&one(r#""dtype":"F32","shape":[2],"data_offsets":[8,0]"#), 8), "ascending"),
            (file(&one(r#""dtype":"F32","shape":[2],"data_offsets":[-8,0]"#), 8), "ascending"),
            (file(&one(r#""dtype":"F32","shape":[2.0],"data_offsets":[0,8]"#), 8), "dimension"),
            (file(&one(r#""dtype":"F32","shape":[3],"data_offsets":[0,8]"#), 8), "takes 12 bytes"),
            (
                file(
                    &one(
                        r#""dtype":"F32","shape":[2147483647,2147483647,2147483647],"data_offsets":[0,0]"#,
                    ),
                    0,
                ),
                "overflows",
            ),
            (
                file(&one(r#""dtype":"F32","shape":[4294967296,0],"data_offsets":[0,0]"#), 0),
                "dimension",
            ),
            (
                file(
                    &one(&format!(
                        r#""dtype":"U8","shape":[{}1],"data_offsets":[0,1]"#,
                        "1,".repeat(99)
                    )),
                    1,
                ),
                "dimensions",
            ),
            (file(&one(r#""dtype":"F99","shape":[],"data_offsets":[0,4]"#), 4), "not supported"),
            (file(&one(r#""dtype":"f32","shape":[],"data_offsets":[0,4]"#), 4), "not supported"),
            (file(&format!("{{\"a\":{}", "[".repeat(200_000)), 0), "recursion limit"),
            (file(r#"{"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, 1), "empty"),
            (file(r#"{"a\u0000":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#, 1), "control"),
        ];
        for (bytes, word) in cases {
            let error = open(&bytes).expect_err(word);
            assert!(error.contains(word), "{word}: {error}");
            assert!(error.contains("x.safetensors"), "{error}");
        }
    }

    #[test]
    fn every_prefix_of_a_good_file_is_refused() {
        let good = file(&one(r#""dtype":"F32","shape":[2],"data_offsets":[0,8]"#), 8);
        assert!(open(&good).is_ok());
        for length in 0..good.len() {
            assert!(open(&good[..length]).is_err(), "{length} bytes");
        }
    }
}
