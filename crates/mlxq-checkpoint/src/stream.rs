//! Weights through the converter in blocks.
//!
//! Reading, quantizing and writing of different blocks overlap on all cores; memory depends on the
//! number of threads and the size of a block, not on the model. Where every byte goes is known
//! beforehand, so the order of the blocks changes nothing.

use std::collections::HashMap;
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Scales;
use rayon::prelude::*;

use crate::CheckpointError;
use crate::convert::Progress;
use crate::recipe::{ConversionPlan, PlannedTensor};
use crate::tensor::TensorSource;
use crate::write::{ShardWriter, SingleFile, StagedFolder};

/// Numbers of a block: 1 MiB of f32.
const BLOCK: usize = 1 << 18;

/// Whoever hears of the progress and can end the work.
pub type Watch<'w> = dyn FnMut(Progress) -> ControlFlow<()> + Send + 'w;

/// Converts the tensors of `plan` into the files of the staging folder.
pub(crate) fn write_tensors(
    source: &dyn TensorSource,
    plan: &ConversionPlan,
    files: &[SingleFile],
    staged: &StagedFolder,
    watch: &mut Watch,
) -> Result<(), CheckpointError> {
    let create = |file| ShardWriter::create(staged.path(), file);
    let writers = files.iter().map(create).collect::<Result<Vec<_>, _>>()?;
    let tensors: Vec<Tensor> = Tensor::place_all(plan, &writers);
    let blocks: Vec<(&Tensor, Range<usize>)> = tensors
        .iter()
        .flat_map(|tensor| tensor.blocks().map(move |block| (tensor, block)))
        .collect();

    let bytes = |tensor: &Tensor| tensor.plan.source.bytes() as u64;
    let total = tensors.iter().map(bytes).sum();
    let progress = Mutex::new((Progress { done: 0, total }, watch));
    blocks.into_par_iter().try_for_each_init(Vec::new, |buffer, (tensor, block)| {
        tensor.convert(source, &writers, block.clone(), buffer)?;
        let Ok(mut progress) = progress.lock() else { return Err(CheckpointError::Interrupted) };
        let (at, watch) = &mut *progress;
        at.done += tensor.source_bytes(&block).len() as u64;
        if watch(*at).is_break() { Err(CheckpointError::Interrupted) } else { Ok(()) }
    })?;
    writers.iter().try_for_each(ShardWriter::sync)
}

/// A planned tensor and where its bytes go.
struct Tensor<'p> {
    plan: &'p PlannedTensor,
    outputs: Vec<Place>,
}

/// The place of one output.
struct Place {
    writer: usize,
    offset: u64,
    bytes: usize,
}

impl<'p> Tensor<'p> {
    fn place_all(plan: &'p ConversionPlan, writers: &[ShardWriter]) -> Vec<Self> {
        let mut places = HashMap::new();
        for (place, writer) in writers.iter().enumerate() {
            places.extend(writer.offsets().map(|(name, offset)| (name, (place, offset))));
        }
        let tensor = |plan: &'p PlannedTensor| {
            let output = |info: crate::tensor::TensorInfo| {
                let (writer, offset) = places[info.name.as_str()];
                Place { writer, offset, bytes: info.bytes() }
            };
            let outputs = plan.outputs().into_iter().map(output).collect();
            Self { plan, outputs }
        };
        plan.tensors.iter().map(tensor).collect()
    }

    /// Ranges of numbers: whole rows, about [`BLOCK`] numbers each.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let elements = self.plan.source.elements();
        let row = match self.plan.source.shape.as_slice() {
            [_, .., columns] => *columns,
            _ => 1,
        };
        let step = (BLOCK / row.max(1)).max(1) * row.max(1);
        (0..elements).step_by(step).map(move |start| start..elements.min(start + step))
    }

    /// The bytes of a block in the source tensor.
    fn source_bytes(&self, block: &Range<usize>) -> Range<usize> {
        let size = self.plan.source.dtype.size();
        block.start * size..block.end * size
    }

    fn convert(
        &self,
        source: &dyn TensorSource,
        writers: &[ShardWriter],
        block: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        source.read_part(&self.plan.source.name, self.source_bytes(&block), buffer)?;
        let Some(numbers) = numbers(self.plan, buffer) else {
            return Err(self.refuse(source, buffer)?);
        };
        let elements = self.plan.source.elements() as u64;
        for (place, bytes) in self.outputs.iter().zip(encode(self.plan, &numbers)) {
            // Rows are whole, so an output's bytes divide like the numbers.
            let skipped = place.bytes as u64 * block.start as u64 / elements;
            writers[place.writer].write(place.offset + skipped, &bytes)?;
        }
        Ok(())
    }

    /// The error of numbers that cannot be converted: how many, and the first of them.
    fn refuse(
        &self,
        source: &dyn TensorSource,
        buffer: &mut Vec<u8>,
    ) -> Result<CheckpointError, CheckpointError> {
        let PlannedTensor { source: info, float, .. } = self.plan;
        let (mut lost, mut large) = ((0, None), (0, None));
        for block in self.blocks() {
            source.read_part(&info.name, self.source_bytes(&block), buffer)?;
            for (at, number) in block.zip(decode(self.plan, buffer)) {
                let bad = if !number.is_finite() {
                    &mut lost
                } else if !float.round(number).is_finite() {
                    &mut large
                } else {
                    continue;
                };
                *bad = (bad.0 + 1, bad.1.or(Some(at)));
            }
        }
        let reason = match (lost, large) {
            ((count, Some(first)), _) => {
                format!("{count} of its numbers are NaN or infinite, the first at {first}")
            }
            (_, (count, first)) => format!(
                "{count} of its numbers are beyond {}, the largest of the format, the first at {}; \
                 convert with --dtype bfloat16",
                float.max(),
                first.unwrap_or(0)
            ),
        };
        Ok(CheckpointError::tensor(&info.name, reason))
    }
}

fn decode(tensor: &PlannedTensor, bytes: &[u8]) -> Vec<f32> {
    let float = tensor.source.dtype.float().unwrap_or(Float::F32);
    let mut numbers = vec![0.0f32; bytes.len() / float.size()];
    float.decode(bytes, &mut numbers);
    numbers
}

/// The numbers of a block, rounded to the format they are stored or quantized in; `None` when one is
/// not finite then.
fn numbers(tensor: &PlannedTensor, bytes: &[u8]) -> Option<Vec<f32>> {
    let mut numbers = decode(tensor, bytes);
    numbers.iter_mut().for_each(|number| *number = tensor.float.round(*number));
    numbers.iter().all(|number| number.is_finite()).then_some(numbers)
}

/// The bytes of each output of a block, in the order of [`PlannedTensor::outputs`].
fn encode(tensor: &PlannedTensor, numbers: &[f32]) -> Vec<Vec<u8>> {
    let floats = |numbers: &[f32]| {
        let mut bytes = Vec::new();
        tensor.float.encode(numbers, &mut bytes);
        bytes
    };
    let Some(format) = tensor.format else {
        return vec![floats(numbers)];
    };
    let packed = format.quantize(tensor.float, numbers);
    let words = packed.words.iter().flat_map(|word| word.to_le_bytes()).collect();
    match packed.scales {
        Scales::Affine { scales, biases } => vec![words, floats(&scales), floats(&biases)],
        Scales::Floating(scales) => vec![words, scales],
    }
}
