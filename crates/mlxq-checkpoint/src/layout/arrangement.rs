//! The tensors of the MLX folder, each made of rows of the source's.

use std::collections::HashMap;
use std::ops::Range;

use super::rule::{Draft, Piece};
use super::{Part, Role};
use crate::CheckpointError;
use crate::tensor::{TensorBytes, TensorInfo, TensorSource};

/// One tensor of the arranged model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arranged {
    draft: Draft,
    /// Its name without the base-model prefix.
    pub name: String,
    /// Its module's path, without the prefix.
    pub module: String,
    /// What the module does.
    pub role: Role,
    /// Whether the module belongs to the base model, which carries the prefix.
    pub in_base: bool,
    /// Which part of the module it is.
    pub part: Part,
}

impl Arranged {
    /// A draft that was found to be `part` of a module.
    pub(super) fn new(
        draft: Draft,
        (module, name): (&str, &str),
        (role, in_base): (Role, bool),
        part: Part,
    ) -> Self {
        let (module, name) = (module.to_owned(), name.to_owned());
        Self { draft, name, module, role, in_base, part }
    }

    /// The source's name of the tensor, or of the first that it is made of.
    pub fn source(&self) -> &str {
        self.draft.source()
    }

    /// Its shape and element type under its own name, with `prefix` before those of the base model.
    fn named(&self, prefix: &str) -> TensorInfo {
        let name = match self.in_base {
            true => format!("{prefix}{}", self.name),
            false => self.name.clone(),
        };
        TensorInfo { name, ..self.draft.info.clone() }
    }
}

/// All tensors of a checkpoint as its layout arranges them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrangement {
    pub(super) prefix: &'static str,
    /// The prefix that they carry in the converted folder.
    pub(super) folder_prefix: &'static str,
    /// Tensors that the model uses, in the checkpoint's order.
    pub used: Vec<Arranged>,
    /// Tensors left out on purpose: name and reason.
    pub dropped: Vec<(String, &'static str)>,
    /// Tensors that the model type does not know, left out.
    pub unknown: Vec<String>,
}

impl Arrangement {
    /// The prefix that the base model's tensors carry in the checkpoint; empty if none.
    pub fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// The arranged tensors of `source` under their names without prefix.
    pub fn weights<'a>(&'a self, source: &'a dyn TensorSource) -> ArrangedTensors<'a> {
        self.tensors(source, "")
    }

    /// The arranged tensors of `source` under their names in the converted folder, in the order of
    /// [`Self::used`].
    pub fn folder<'a>(&'a self, source: &'a dyn TensorSource) -> ArrangedTensors<'a> {
        self.tensors(source, self.folder_prefix)
    }

    /// Every used tensor with its description under its name in the converted folder.
    pub fn folder_infos(&self) -> impl Iterator<Item = (&Arranged, TensorInfo)> {
        self.used.iter().map(|tensor| (tensor, tensor.named(self.folder_prefix)))
    }

    fn tensors<'a>(&'a self, source: &'a dyn TensorSource, prefix: &str) -> ArrangedTensors<'a> {
        let tensors = self.used.iter().map(|tensor| tensor.named(prefix)).collect();
        let pieces = self.used.iter().map(|tensor| tensor.draft.pieces.as_slice()).collect();
        ArrangedTensors::new(source, tensors, pieces)
    }
}

/// Tensors made of the rows of others.
pub struct ArrangedTensors<'a> {
    source: &'a dyn TensorSource,
    tensors: Vec<TensorInfo>,
    places: HashMap<String, usize>,
    pieces: Vec<&'a [Piece]>,
}

impl<'a> ArrangedTensors<'a> {
    fn new(
        source: &'a dyn TensorSource,
        tensors: Vec<TensorInfo>,
        pieces: Vec<&'a [Piece]>,
    ) -> Self {
        let named = |(place, info): (usize, &TensorInfo)| (info.name.clone(), place);
        let places = tensors.iter().enumerate().map(named).collect();
        Self { source, tensors, places, pieces }
    }

    /// Appends the bytes `part` of a piece to `buffer`; `row` is the bytes of one of its rows.
    fn read_piece(
        &self,
        piece: &Piece,
        row: usize,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        if piece.transposed {
            return self.read_columns(piece, row, part, buffer);
        }
        let start = piece.first_row * row;
        let mut own = Vec::new();
        // A buffer that is still empty needs no second one.
        let target = if buffer.is_empty() { &mut *buffer } else { &mut own };
        self.source.read_part(&piece.source, start + part.start..start + part.end, target)?;
        buffer.append(&mut own);
        Ok(())
    }

    /// The same for rows that are columns of the source.
    fn read_columns(
        &self,
        piece: &Piece,
        row: usize,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let source = &piece.source;
        let info = self.source.find(source);
        let info = info.ok_or_else(|| CheckpointError::missing_tensor(source))?;
        let size = info.dtype.size();
        let (rows, stride) = (info.rows(), info.columns() * size);
        let wanted = piece.first_row + part.start / row..piece.first_row + part.end.div_ceil(row);
        let mut block = vec![0; wanted.len() * row];
        let mut strip = Vec::new();
        for i in 0..rows {
            let start = i * stride;
            let strip_bytes = start + wanted.start * size..start + wanted.end * size;
            self.source.read_part(source, strip_bytes, &mut strip)?;
            for (column, number) in strip.chunks_exact(size).enumerate() {
                let at = column * row + i * size;
                block[at..at + size].copy_from_slice(number);
            }
        }
        let skipped = part.start % row;
        buffer.extend_from_slice(&block[skipped..skipped + part.len()]);
        Ok(())
    }
}

impl TensorSource for ArrangedTensors<'_> {
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
        let info = &self.tensors[place];
        info.check_part(&part)?;
        buffer.clear();
        let row = info.columns() * info.dtype.size();
        let mut at = 0;
        for piece in self.pieces[place] {
            let bytes = piece.rows * row;
            let start = part.start.clamp(at, at + bytes) - at;
            let end = part.end.clamp(at, at + bytes) - at;
            if start < end {
                self.read_piece(piece, row, start..end, buffer)?;
            }
            at += bytes;
        }
        Ok(())
    }

    fn bytes(&self, name: &str, part: Range<usize>) -> Result<TensorBytes, CheckpointError> {
        let place = *self.places.get(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        let info = &self.tensors[place];
        info.check_part(&part)?;
        match self.pieces[place] {
            [whole] if !whole.transposed => {
                let start = whole.first_row * info.columns() * info.dtype.size();
                self.source.bytes(&whole.source, start + part.start..start + part.end)
            }
            _ => self.read_bytes(name, part),
        }
    }
}
