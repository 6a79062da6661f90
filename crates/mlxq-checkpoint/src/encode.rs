//! The bytes of one block: numbers of the source in, numbers and codes of the folder out.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Encoded;

use crate::CheckpointError;
use crate::recipe::{Encoding, PlannedTensor};
use crate::tensor::{Dtype, TensorInfo, TensorSource};

/// The buffers of one thread.
#[derive(Default)]
pub(crate) struct Encoder {
    /// The source's bytes of the block.
    pub(crate) source: Vec<u8>,
    numbers: Vec<u8>,
    packed: Encoded,
}

/// Up to three outputs of a block, in the order of [`PlannedTensor::outputs`].
pub(crate) type Outputs<'e> = [&'e [u8]; 3];

impl Encoder {
    /// Encodes the block in [`Self::source`]: the outputs, those that the tensor does not have empty, and
    /// whether all its numbers are finite, in the source and in the format they are rounded to.
    pub(crate) fn encode(&mut self, tensor: &PlannedTensor) -> (Outputs<'_>, bool) {
        let from = match tensor.info.dtype.float() {
            Some(own) => own,
            None if tensor.info.dtype == Dtype::F64 => {
                narrow(&mut self.source);
                Float::F32
            }
            None => return ([&self.source, &[], &[]], true),
        };
        match tensor.encoding {
            Encoding::Same => ([&self.source, &[], &[]], true),
            Encoding::Float(to) => {
                self.numbers.clear();
                let finite = from.convert(to, &self.source, &mut self.numbers);
                ([&self.numbers, &[], &[]], finite)
            }
            Encoding::Packed(format, to) => {
                let finite = format.encode(from, to, &self.source, &mut self.packed);
                let Encoded { words, scales, biases } = &self.packed;
                ([words, scales, biases], finite)
            }
        }
    }
}

/// Rounds numbers of f64 to f32, in place.
fn narrow(bytes: &mut Vec<u8>) {
    let count = bytes.len() / 8;
    for at in 0..count {
        let wide = bytes[8 * at..].first_chunk().copied().unwrap_or_default();
        let number = f64::from_le_bytes(wide) as f32;
        bytes[4 * at..4 * at + 4].copy_from_slice(&number.to_le_bytes());
    }
    bytes.truncate(4 * count);
}

/// Numbers of a tensor that are looked at once for [`finite_report`].
const SCANNED: usize = 1 << 18;

/// The error of a tensor that has numbers which cannot be converted: how many, and the first of them.
///
/// # Errors
/// When the tensor cannot be read.
pub(crate) fn finite_report(
    source: &dyn TensorSource,
    tensor: &PlannedTensor,
) -> Result<CheckpointError, CheckpointError> {
    let to = match tensor.encoding {
        Encoding::Float(float) | Encoding::Packed(_, float) => float,
        Encoding::Same => Float::F32,
    };
    let TensorInfo { name, dtype, .. } = &tensor.info;
    let from = dtype.float().unwrap_or(Float::F32);
    let (mut lost, mut large) = (Found::default(), Found::default());
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    for start in (0..tensor.info.elements()).step_by(SCANNED) {
        let end = tensor.info.elements().min(start + SCANNED);
        source.read_part(name, start * dtype.size()..end * dtype.size(), &mut bytes)?;
        if *dtype == Dtype::F64 {
            narrow(&mut bytes);
        }
        numbers.resize(end - start, 0.0);
        from.decode(&bytes, &mut numbers);
        for (at, number) in (start..).zip(&numbers) {
            if !number.is_finite() {
                lost.add(at);
            } else if !to.round(*number).is_finite() {
                large.add(at);
            }
        }
    }
    let reason = match lost.first {
        Some(first) => format!(
            "{} of its numbers are NaN or infinite, the first at {first}; \
             --allow-non-finite converts them as MLX does",
            lost.count
        ),
        None => format!(
            "{} of its numbers are beyond {}, the largest of the format, the first at {}; \
             convert with --dtype bfloat16",
            large.count,
            to.max(),
            large.first.unwrap_or(0)
        ),
    };
    Ok(CheckpointError::tensor(name, reason))
}

/// How many numbers are wrong in one way, and the place of the first.
#[derive(Default)]
struct Found {
    count: usize,
    first: Option<usize>,
}

impl Found {
    fn add(&mut self, place: usize) {
        self.count += 1;
        self.first.get_or_insert(place);
    }
}
