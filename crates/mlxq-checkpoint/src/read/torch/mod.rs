//! PyTorch's state dicts (`.bin`, `.pt`, `.pth`): the zip format, and the older one of five pickles.
//!
//! What is in memory is the pickle and the directory; elements are read by position when they are
//! asked for. A zip entry is checked against its CRC-32 when it is first used.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use flate2::Crc;

use self::pickle::{Pickle, scan};
use self::state::State;
use self::view::View;
use self::zip::{Directory, crc_rule};
use super::Input;
use super::safetensors::check_bool;
use crate::tensor::{TensorInfo, TensorSource};
use crate::{CheckpointError, shown};

mod global;
mod legacy;
mod opcode;
mod pickle;
mod state;
mod view;
mod zip;

/// The longest pickle, in bytes; that of a model of 7 billion weights has about 100 kB.
const PICKLE_LIMIT: u64 = 256 << 20;
/// How much of an entry is read at once to check it.
const CHECKED: u64 = 1 << 20;

/// One state dict of PyTorch.
#[derive(Debug)]
pub struct TorchFile {
    input: Input,
    tensors: Vec<TensorInfo>,
    views: Vec<View>,
    places: HashMap<String, usize>,
    storages: Vec<Stored>,
    is_big_endian: bool,
    notes: Vec<String>,
}

/// A storage's bytes in the file.
#[derive(Debug)]
struct Stored {
    start: u64,
    bytes: u64,
    crc: Option<u32>,
    /// What came of the comparison with `crc`; empty until it is made.
    checked: OnceLock<Result<(), String>>,
}

impl Stored {
    fn new(start: u64, bytes: u64, crc: Option<u32>) -> Self {
        Self { start, bytes, crc, checked: OnceLock::new() }
    }

    /// Compares the bytes with their CRC-32, once.
    fn check(&self, input: &Input) -> Result<(), CheckpointError> {
        let Some(stated) = self.crc else { return Ok(()) };
        let compare = || {
            let mut crc = Crc::new();
            for start in (self.start..self.start + self.bytes).step_by(CHECKED as usize) {
                let end = (self.start + self.bytes).min(start + CHECKED);
                let bytes = input.read_range(start..end).map_err(|error| error.to_string())?;
                crc.update(&bytes);
            }
            if crc.sum() == stated { Ok(()) } else { Err(crc_rule(crc.sum(), stated)) }
        };
        self.checked
            .get_or_init(compare)
            .clone()
            .map_err(|rule| input.refuse(format!("the storage at byte {}: {rule}", self.start)))
    }
}

impl TorchFile {
    /// Opens and checks the file at `path`; no tensor is read yet.
    ///
    /// # Errors
    /// When the file cannot be read, is no state dict, or breaks a rule, with the place.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::read(Input::open(path)?)
    }

    /// Checks the file behind `input`.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn read(input: Input) -> Result<Self, CheckpointError> {
        let start = input.read_range(0..input.length().min(512))?;
        if start.starts_with(b"PK\x03\x04") {
            return Self::read_zip(input);
        }
        if start.starts_with(legacy::MAGIC) {
            return Self::read_legacy(input);
        }
        Err(input.refuse(if start.get(257..262) == Some(b"ustar") {
            "is a tar file of PyTorch's first format, too old to be read; save it anew"
        } else {
            "is no PyTorch file: it begins neither as a zip nor with torch's magic number"
        }))
    }

    /// What is odd but harmless, for a warning.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn read_zip(input: Input) -> Result<Self, CheckpointError> {
        let directory = Directory::read(&input)?;
        let archive = Archive::read(&directory, &input)?;
        let pickle = scan(&archive.pickle).map_err(|broken| match broken {
            opcode::Broken::Short => input.refuse("data.pkl: the pickle ends early"),
            opcode::Broken::Rule(rule) => input.refuse(format!("data.pkl: {rule}")),
        });
        let bytes = &archive.pickle[..pickle?];
        let refuse = |rule: String| input.refuse(format!("data.pkl: {rule}"));
        let mut notes = archive.notes;
        let pickle = Pickle::parse(bytes).map_err(refuse)?;
        let state = State::read(&pickle).map_err(refuse)?;
        let storages = archive.folder.storages(&pickle, &directory, &mut notes).map_err(refuse)?;
        Ok(Self::new(input, state, storages, notes, archive.is_big_endian))
    }

    fn read_legacy(input: Input) -> Result<Self, CheckpointError> {
        let parts = legacy::Parts::read(&input)?;
        let object = parts.object(&input)?;
        let state = State::read(&object).map_err(|rule| input.refuse(rule))?;
        let mut notes = Vec::new();
        let storages = parts.storages(&object, &input, &mut notes)?;
        Ok(Self::new(input, state, storages, notes, false))
    }

    fn new(
        input: Input,
        state: State,
        storages: Vec<Stored>,
        mut notes: Vec<String>,
        is_big_endian: bool,
    ) -> Self {
        if let Some(first) = state.passed_over.first() {
            let (count, first) = (state.passed_over.len(), shown(first));
            notes.push(format!("{count} values are no tensors, `{first}` the first of them"));
        }
        let (tensors, views): (Vec<_>, Vec<_>) = state.tensors.into_iter().unzip();
        let places = tensors.iter().zip(0..).map(|(info, i)| (info.name.clone(), i)).collect();
        Self { input, tensors, views, places, storages, is_big_endian, notes }
    }
}

impl TensorSource for TorchFile {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.places.get(name).map(|place| &self.tensors[*place])
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let place = *self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        let (info, view) = (&self.tensors[place], &self.views[place]);
        info.check_part(&part)?;
        let stored = &self.storages[view.storage];
        stored.check(&self.input)?;
        // Whole elements are read; what was not asked of the first and last is cut off.
        let size = info.dtype.size();
        let elements = part.start / size..part.end.div_ceil(size);
        buffer.clear();
        buffer.resize(elements.len() * size, 0);
        view.read(&info.shape, elements.clone(), &self.input, stored.start, buffer)?;
        if self.is_big_endian {
            buffer.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
        buffer.truncate(part.end - elements.start * size);
        buffer.drain(..part.start - elements.start * size);
        check_bool(info, buffer, self.input.path())
    }
}

/// What the pickle `bytes` holds, for fuzzing.
///
/// # Errors
/// When it breaks a rule.
pub(crate) fn describe_pickle(bytes: &[u8]) -> Result<String, String> {
    let end = scan(bytes).map_err(|broken| format!("{broken:?}"))?;
    let pickle = Pickle::parse(&bytes[..end])?;
    State::read(&pickle).map(|state| format!("{state:?}"))
}

/// What a zip of torch holds beside its storages.
struct Archive {
    folder: Folder,
    pickle: Vec<u8>,
    is_big_endian: bool,
    notes: Vec<String>,
}

/// The folder of a zip in which everything lies.
struct Folder(String);

impl Archive {
    fn read(directory: &Directory, input: &Input) -> Result<Self, CheckpointError> {
        let folder = Folder::find(directory).map_err(|rule| input.refuse(rule))?;
        let content = |name: &str, limit| {
            let entry = directory.find(&folder.path(name));
            entry.map(|entry| entry.content(input, limit)).transpose()
        };
        let pickle = content("data.pkl", PICKLE_LIMIT)?.unwrap_or_default();
        let is_big_endian = match content("byteorder", 16)?.as_deref() {
            None | Some(b"little") => false,
            Some(b"big") => true,
            Some(other) => {
                let found = other.escape_ascii();
                return Err(input.refuse(format!("byteorder is `{found}`, not little or big")));
            }
        };
        let mut notes = Vec::new();
        let version = content("version", 64)?.unwrap_or_else(|| b"3".to_vec());
        let number = std::str::from_utf8(&version).ok().and_then(|text| text.trim().parse().ok());
        if !number.is_some_and(|number: u32| (1..=10).contains(&number)) {
            notes.push(format!("its version is `{}`, known are 1 to 10", version.escape_ascii()));
        }
        Ok(Self { folder, pickle, is_big_endian, notes })
    }
}

impl Folder {
    /// The one folder that has a `data.pkl`, in which all other entries must lie.
    fn find(directory: &Directory) -> Result<Self, String> {
        let names = || directory.entries.iter().map(|entry| entry.name.as_str());
        let mut tops = names().filter_map(|name| name.strip_suffix("/data.pkl"));
        let folder = match (tops.next(), tops.next()) {
            (Some(top), None) if !top.contains('/') => Self(top.to_owned()),
            _ => return Err("has no `data.pkl` in its one folder".to_owned()),
        };
        for name in names() {
            let rest = name.strip_prefix(&folder.path("")).ok_or_else(|| {
                format!("zip entry `{}` lies outside `{}`", shown(name), shown(&folder.0))
            })?;
            if rest.starts_with("code/") || rest == "constants.pkl" {
                return Err("is a TorchScript program, which is not supported".to_owned());
            }
        }
        Ok(folder)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Where the storages of `pickle` lie, in its order.
    fn storages(
        &self,
        pickle: &Pickle,
        directory: &Directory,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Stored>, String> {
        let mut storages = Vec::with_capacity(pickle.storages.len());
        for id in &pickle.storages {
            let name = self.path(&format!("data/{}", id.key));
            let entry = directory.find(&name);
            let entry = entry.ok_or_else(|| format!("its storage `{name}` is not in the file"))?;
            if entry.is_deflated {
                return Err(format!(
                    "`{name}` is compressed, which torch never does; save it anew"
                ));
            }
            let expected = id.elements.checked_mul(id.dtype.size() as u64);
            if expected != Some(entry.size) {
                let (elements, dtype) = (id.elements, id.dtype);
                return Err(format!(
                    "`{name}` has {} bytes, expected {elements} of {dtype:?}",
                    entry.size
                ));
            }
            storages.push(Stored::new(entry.range.start, entry.size, Some(entry.crc)));
        }
        let data = directory
            .entries
            .iter()
            .filter(|entry| entry.name.strip_prefix(&self.path("data/")).is_some());
        let unused = data.count() - storages.len();
        if unused > 0 {
            notes.push(format!("{unused} of its storages are used by no tensor"));
        }
        Ok(storages)
    }
}
