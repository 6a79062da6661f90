//! Named tensors and where they come from.
//!
//! [`TensorSource`] is the one seam between files and everything above: a converter, a model and an
//! engine see names, shapes, dtypes and bytes, and never a path.

use std::ops::{Deref, Range};

use mlxq_kernels::float::Float;

use crate::CheckpointError;
use crate::read::Mapping;

/// Element types that a checkpoint may hold, by their safetensors names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned 8 bits.
    U8,
    /// Signed 8 bits.
    I8,
    /// Unsigned 16 bits.
    U16,
    /// Signed 16 bits.
    I16,
    /// Unsigned 32 bits: MLX's packed words.
    U32,
    /// Signed 32 bits.
    I32,
    /// Unsigned 64 bits.
    U64,
    /// Signed 64 bits.
    I64,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision.
    F64,
}

impl Dtype {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The float format of weights that this is, if it is one; `F64` is none.
    pub fn float(self) -> Option<Float> {
        match self {
            Self::F16 => Some(Float::F16),
            Self::BF16 => Some(Float::BF16),
            Self::F32 => Some(Float::F32),
            _ => None,
        }
    }

    /// All names, for messages.
    pub(crate) const NAMES: &str =
        "BOOL, U8, I8, U16, I16, U32, I32, U64, I64, F16, BF16, F32, F64";

    const ALL: [Self; 13] = [
        Self::Bool,
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::U64,
        Self::I64,
        Self::F16,
        Self::BF16,
        Self::F32,
        Self::F64,
    ];

    /// The name in a safetensors header.
    pub fn name(self) -> &'static str {
        let place = Self::ALL.iter().position(|other| *other == self);
        let name = place.and_then(|place| Self::NAMES.split(", ").nth(place));
        name.expect("names and variants stand in the same order")
    }

    /// The element type that a safetensors header calls `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.name() == name)
    }
}

impl From<Float> for Dtype {
    fn from(float: Float) -> Self {
        match float {
            Float::F32 => Self::F32,
            Float::F16 => Self::F16,
            Float::BF16 => Self::BF16,
        }
    }
}

/// Name, element type and shape of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The tensor's name in its checkpoint.
    pub name: String,
    /// Its element type.
    pub dtype: Dtype,
    /// Its dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
}

impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The length of the last dimension; 1 for a scalar.
    pub fn columns(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Number of rows: the product of all dimensions but the last.
    pub fn rows(&self) -> usize {
        self.shape.iter().rev().skip(1).product()
    }

    /// Number of bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }

    /// Refuses a range of bytes that the tensor does not have.
    pub(crate) fn check_part(&self, part: &Range<usize>) -> Result<(), CheckpointError> {
        if part.start <= part.end && part.end <= self.bytes() {
            return Ok(());
        }
        let reason = format!("bytes {part:?} are outside its {}", self.bytes());
        Err(CheckpointError::tensor(&self.name, reason))
    }
}

/// Bytes of a tensor, row-major and little-endian, beginning at any address: mapped from the file, or
/// read from it.
#[derive(Debug)]
pub struct TensorBytes(Held);

#[derive(Debug)]
enum Held {
    Mapped(Mapping),
    Read(Vec<u8>),
}

#[cfg(test)]
impl TensorBytes {
    /// Whether they are mapped.
    pub(crate) fn are_mapped(&self) -> bool {
        matches!(self.0, Held::Mapped(_))
    }
}

impl Deref for TensorBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Held::Mapped(mapping) => mapping.bytes(),
            Held::Read(bytes) => bytes,
        }
    }
}

impl From<Mapping> for TensorBytes {
    fn from(mapping: Mapping) -> Self {
        Self(Held::Mapped(mapping))
    }
}

impl From<Vec<u8>> for TensorBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Held::Read(bytes))
    }
}

/// Something that holds named tensors: one file, several shards, or a test's memory.
pub trait TensorSource: Send + Sync {
    /// All tensors, in a stable order.
    fn tensors(&self) -> &[TensorInfo];

    /// Replaces `buffer` by the bytes `part` of the tensor: row-major, little-endian.
    ///
    /// # Errors
    /// When there is no such tensor, or it does not have these bytes or they cannot be read.
    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError>;

    /// Replaces `buffer` by all bytes of the tensor, [`TensorInfo::bytes`] of them.
    ///
    /// # Errors
    /// As [`Self::read_part`].
    fn read(&self, name: &str, buffer: &mut Vec<u8>) -> Result<(), CheckpointError> {
        let info = self.find(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
        self.read_part(name, 0..info.bytes(), buffer)
    }

    /// The bytes `part` of the tensor for as long as they are held, mapped where the source can, so
    /// that what is never looked at is never loaded.
    ///
    /// # Errors
    /// As [`Self::read_part`].
    fn bytes(&self, name: &str, part: Range<usize>) -> Result<TensorBytes, CheckpointError> {
        self.read_bytes(name, part)
    }

    /// The bytes `part` of the tensor, read now.
    ///
    /// # Errors
    /// As [`Self::read_part`].
    fn read_bytes(&self, name: &str, part: Range<usize>) -> Result<TensorBytes, CheckpointError> {
        let mut bytes = Vec::new();
        self.read_part(name, part, &mut bytes)?;
        Ok(bytes.into())
    }

    /// The tensor of that name, if there is one.
    fn find(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors().iter().find(|tensor| tensor.name == name)
    }
}
