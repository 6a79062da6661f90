//! The bytes of one block: numbers of the source in, numbers and codes of the folder out.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Scales;

use crate::CheckpointError;
use crate::recipe::{Encoding, PlannedTensor};
use crate::tensor::{Dtype, TensorSource};

/// The buffers of one thread.
#[derive(Default)]
pub(crate) struct Encoder {
    /// The source's bytes of the block.
    pub(crate) source: Vec<u8>,
    outputs: Vec<Vec<u8>>,
}

impl Encoder {
    /// Encodes the block in [`Self::source`]; whether all its numbers are finite, in the source and in
    /// the format they are rounded to.
    pub(crate) fn encode(&mut self, tensor: &PlannedTensor) -> bool {
        self.outputs.clear();
        let (float, format) = match tensor.encoding {
            Encoding::Same => {
                self.outputs.push(self.source.clone());
                return true;
            }
            Encoding::Float(float) => (float, None),
            Encoding::Packed(format, float) => (float, Some(format)),
        };
        let mut numbers = decode(tensor.info.dtype, &self.source);
        numbers.iter_mut().for_each(|number| *number = float.round(*number));
        let finite = numbers.iter().all(|number| number.is_finite());
        let floats = |numbers: &[f32]| {
            let mut bytes = Vec::new();
            float.encode(numbers, &mut bytes);
            bytes
        };
        let Some(format) = format else {
            self.outputs.push(floats(&numbers));
            return finite;
        };
        let packed = format.quantize(float, &numbers);
        self.outputs.push(packed.words.iter().flat_map(|word| word.to_le_bytes()).collect());
        match packed.scales {
            Scales::Affine { scales, biases } => {
                self.outputs.extend([floats(&scales), floats(&biases)]);
            }
            Scales::Floating(scales) => self.outputs.push(scales),
        }
        finite
    }

    /// The bytes of each output, in the order of [`PlannedTensor::outputs`].
    pub(crate) fn outputs(&self) -> impl Iterator<Item = &[u8]> {
        self.outputs.iter().map(Vec::as_slice)
    }
}

/// The numbers of a float tensor, f64 rounded to f32.
fn decode(dtype: Dtype, bytes: &[u8]) -> Vec<f32> {
    if dtype == Dtype::F64 {
        let number = |bytes: &[u8; 8]| f64::from_le_bytes(*bytes) as f32;
        return bytes.as_chunks().0.iter().map(number).collect();
    }
    let float = dtype.float().unwrap_or(Float::F32);
    let mut numbers = vec![0.0f32; bytes.len() / float.size()];
    float.decode(bytes, &mut numbers);
    numbers
}

/// Numbers of a tensor that are counted at once for [`finite_report`].
const SCANNED: usize = 1 << 18;

/// The error of a tensor that has numbers which cannot be converted: how many, and the first of them.
///
/// # Errors
/// When the tensor cannot be read.
pub(crate) fn finite_report(
    source: &dyn TensorSource,
    tensor: &PlannedTensor,
) -> Result<CheckpointError, CheckpointError> {
    let float = match tensor.encoding {
        Encoding::Float(float) | Encoding::Packed(_, float) => float,
        Encoding::Same => Float::F32,
    };
    let info = &tensor.info;
    let size = info.dtype.size();
    let (mut lost, mut large) = ((0, None), (0, None));
    let mut buffer = Vec::new();
    for start in (0..info.elements()).step_by(SCANNED) {
        let end = info.elements().min(start + SCANNED);
        source.read_part(&info.name, start * size..end * size, &mut buffer)?;
        for (at, number) in (start..).zip(decode(info.dtype, &buffer)) {
            let bad = match (number.is_finite(), float.round(number).is_finite()) {
                (true, true) => continue,
                (true, false) => &mut large,
                (false, _) => &mut lost,
            };
            *bad = (bad.0 + 1, bad.1.or(Some(at)));
        }
    }
    let reason = match (lost, large) {
        ((count, Some(first)), _) => format!(
            "{count} of its numbers are NaN or infinite, the first at {first}; \
             --allow-non-finite converts them as MLX does"
        ),
        (_, (count, first)) => format!(
            "{count} of its numbers are beyond {}, the largest of the format, the first at {}; \
             convert with --dtype bfloat16",
            float.max(),
            first.unwrap_or(0)
        ),
    };
    Ok(CheckpointError::tensor(&info.name, reason))
}
