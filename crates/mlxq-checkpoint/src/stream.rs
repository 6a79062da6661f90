//! Weights through the converter in blocks.
//!
//! Reading, quantizing and writing of different blocks overlap on all cores; memory depends on the
//! number of threads and the size of a block, not on the model. Where every byte goes is known
//! beforehand, so the order of the blocks changes nothing, and a killed attempt is continued by leaving
//! out the blocks that its journal holds and its files confirm.

use std::collections::{BTreeSet, HashMap};
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;

use flate2::Crc;
use rayon::prelude::*;

use crate::CheckpointError;
use crate::encode::{Encoder, finite_report};
use crate::recipe::{ConversionPlan, PlannedTensor};
use crate::tensor::{TensorInfo, TensorSource};
use crate::write::{Journal, ShardWriter, SingleFile};

/// Numbers of a block: 512 KiB of f32.
const BLOCK: usize = 1 << 17;

/// How far a conversion is, in bytes of source tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Whoever hears of the progress and can end the work.
pub type Watch<'w> = dyn FnMut(Progress) -> ControlFlow<()> + Send + 'w;

/// What is written where.
pub(crate) struct Stream<'a> {
    /// The tensors under their planned names.
    pub(crate) source: &'a dyn TensorSource,
    /// What becomes of them.
    pub(crate) plan: &'a ConversionPlan,
    /// The weight files.
    pub(crate) writers: &'a [ShardWriter],
    /// What an earlier attempt has done.
    pub(crate) journal: &'a Journal,
    /// Whether numbers that are not finite are converted as MLX does.
    pub(crate) allow_non_finite: bool,
}

impl Stream<'_> {
    /// Converts all tensors of the plan; the names of those with numbers that are not finite.
    pub(crate) fn run(&self, watch: &mut Watch) -> Result<BTreeSet<String>, CheckpointError> {
        let tensors = Placed::all(self.plan, self.writers);
        let blocks: Vec<(&Placed, Range<usize>)> = tensors
            .iter()
            .flat_map(|tensor| blocks(&tensor.plan.info).map(move |block| (tensor, block)))
            .collect();
        let progress = Mutex::new((Progress { done: 0, total: self.plan.source_bytes() }, watch));
        let suspects = Mutex::new(BTreeSet::new());
        blocks.into_par_iter().enumerate().try_for_each_init(
            Encoder::default,
            |encoder, (number, (tensor, block))| {
                let bytes = tensor.source_bytes(&block).len() as u64;
                let finite = self.block(number, tensor, block, encoder)?;
                if !finite && let Ok(mut suspects) = suspects.lock() {
                    suspects.insert(tensor.plan.info.name.clone());
                }
                let Ok(mut progress) = progress.lock() else {
                    return Err(CheckpointError::Interrupted);
                };
                let (at, watch) = &mut *progress;
                at.done += bytes;
                if watch(*at).is_break() { Err(CheckpointError::Interrupted) } else { Ok(()) }
            },
        )?;
        Ok(suspects.into_inner().unwrap_or_default())
    }

    /// Converts one block, unless an earlier attempt has; whether all its numbers are finite.
    fn block(
        &self,
        number: usize,
        tensor: &Placed,
        block: Range<usize>,
        encoder: &mut Encoder,
    ) -> Result<bool, CheckpointError> {
        let places = tensor.places(&block);
        if let Some(checksum) = self.journal.noted(number)
            && self.checksum(&places).is_ok_and(|found| found == checksum)
        {
            return Ok(true);
        }
        let name = &tensor.plan.info.name;
        self.source.read_part(name, tensor.source_bytes(&block), &mut encoder.source)?;
        let (outputs, finite) = encoder.encode(tensor.plan);
        if !finite && !self.allow_non_finite {
            return Err(finite_report(self.source, tensor.plan)?);
        }
        let mut checksum = Crc::new();
        for (Place { writer, offset, .. }, bytes) in places.iter().zip(outputs) {
            self.writers[*writer].write(*offset, bytes)?;
            checksum.update(bytes);
        }
        self.journal.note(number, checksum.sum())?;
        Ok(finite)
    }

    /// The checksum of what stands at `places`.
    fn checksum(&self, places: &[Place]) -> Result<u32, CheckpointError> {
        let mut checksum = Crc::new();
        for Place { writer, offset, bytes } in places {
            checksum.update(&self.writers[*writer].read(*offset, *bytes)?);
        }
        Ok(checksum.sum())
    }
}

/// Creates the weight files of the staging folder, or opens those of an earlier attempt.
pub(crate) fn open_writers(
    files: &[SingleFile],
    dir: &std::path::Path,
) -> Result<Vec<ShardWriter>, CheckpointError> {
    files.iter().map(|file| ShardWriter::create(dir, file)).collect()
}

/// The numbers of a tensor in ranges of whole rows, about [`BLOCK`] of them each.
pub(crate) fn blocks(info: &TensorInfo) -> impl Iterator<Item = Range<usize>> + use<> {
    let elements = info.elements();
    let row = info.columns().max(1);
    let step = (BLOCK / row).max(1) * row;
    (0..elements).step_by(step).map(move |start| start..elements.min(start + step))
}

/// A planned tensor and where its bytes go.
struct Placed<'p> {
    plan: &'p PlannedTensor,
    outputs: Vec<Place>,
}

/// The place of one output, or of a part of it.
struct Place {
    writer: usize,
    offset: u64,
    bytes: usize,
}

impl<'p> Placed<'p> {
    fn all(plan: &'p ConversionPlan, writers: &[ShardWriter]) -> Vec<Self> {
        let mut places = HashMap::new();
        for (place, writer) in writers.iter().enumerate() {
            places.extend(writer.offsets().map(|(name, offset)| (name, (place, offset))));
        }
        let tensor = |plan: &'p PlannedTensor| {
            let output = |info: TensorInfo| {
                let (writer, offset) = places[info.name.as_str()];
                Place { writer, offset, bytes: info.bytes() }
            };
            Self { plan, outputs: plan.outputs().into_iter().map(output).collect() }
        };
        plan.tensors.iter().map(tensor).collect()
    }

    /// The bytes of a block in the source tensor.
    fn source_bytes(&self, block: &Range<usize>) -> Range<usize> {
        let size = self.plan.info.dtype.size();
        block.start * size..block.end * size
    }

    /// Where the outputs of a block go. Rows are whole, so an output's bytes divide like the numbers.
    fn places(&self, block: &Range<usize>) -> Vec<Place> {
        let elements = self.plan.info.elements() as u64;
        let part = |bytes: usize, numbers: usize| bytes as u64 * numbers as u64 / elements;
        let place = |output: &Place| Place {
            writer: output.writer,
            offset: output.offset + part(output.bytes, block.start),
            bytes: part(output.bytes, block.len()) as usize,
        };
        self.outputs.iter().map(place).collect()
    }
}
