//! A folder's numbers beside its source's, block by block on all cores.

use std::collections::BTreeSet;
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;

use rayon::prelude::*;

use super::deviation::{Deviation, decode, is_float};
use super::{Inspection, arrange};
use crate::dequantized::Dequantized;
use crate::stream::{Progress, Watch, blocks};
use crate::tensor::{TensorInfo, TensorSource};
use crate::{Checkpoint, CheckpointError};

/// The name of a tensor that was not compared, and why not.
type NotCompared = (String, &'static str);

/// How far a folder's numbers are from its source's.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// For each tensor of [`Inspection::plan`]; `None` for those that were not compared.
    pub deviations: Vec<Option<Deviation>>,
    /// Tensors of either side that were not compared: name and reason.
    pub not_compared: Vec<NotCompared>,
}

/// A tensor of both sides.
struct Pair<'a> {
    /// Its place in the plan.
    place: usize,
    ours: &'a TensorInfo,
    theirs: &'a TensorInfo,
}

impl Inspection<'_> {
    /// Compares the folder with the checkpoint `source`, as the layout arranges both: packed numbers
    /// as `mx.dequantize` restores them, all others exactly as they are. Each thread holds one block
    /// of both; `watch` hears of every block, in bytes of the source, and can end the work.
    ///
    /// # Errors
    /// When `source` is of another model, or something cannot be read; [`CheckpointError::Interrupted`]
    /// when `watch` ends it.
    pub fn compare(
        &self,
        source: &Checkpoint,
        watch: &mut Watch,
    ) -> Result<Comparison, CheckpointError> {
        if source.model_type() != self.folder.model_type() {
            let (found, expected) = (source.model_type(), self.folder.model_type());
            let reason = format!("`model_type` is `{found}`, that of the folder `{expected}`");
            return Err(CheckpointError::file(&source.dir().join("config.json"), reason));
        }
        let view = Dequantized::of(source)?;
        let arrangement = arrange(source, &view, self.layout)?;
        let (ours, theirs) = (self.arrangement.weights(&self.view), arrangement.weights(&view));
        let (pairs, not_compared) = self.pairs(&ours, &theirs)?;
        let mut deviations = vec![None; self.plan.tensors.len()];
        let pieces: Vec<_> = pairs
            .iter()
            .flat_map(|pair| blocks(pair.ours).map(move |block| (pair, block)))
            .collect();
        let total = pairs.iter().map(|pair| pair.theirs.bytes() as u64).sum();
        let progress = Mutex::new((Progress { done: 0, total }, watch));
        let measure = |(pair, block): (&Pair, Range<usize>)| {
            let deviation = pair.deviation(&block, &ours, &theirs)?;
            let Ok(mut progress) = progress.lock() else {
                return Err(CheckpointError::Interrupted);
            };
            let (at, watch) = &mut *progress;
            at.done += (block.len() * pair.theirs.dtype.size()) as u64;
            match watch(*at) {
                ControlFlow::Break(()) => Err(CheckpointError::Interrupted),
                ControlFlow::Continue(()) => Ok((pair.place, deviation)),
            }
        };
        // Sums are taken in the order of the blocks, whatever thread was faster.
        let measured: Vec<_> = pieces.into_par_iter().map(measure).collect::<Result<_, _>>()?;
        for of_one in measured.chunk_by(|(a, _), (b, _)| a == b) {
            let deviation = of_one.iter().map(|(_, deviation)| *deviation).sum();
            deviations[of_one[0].0] = Some(deviation);
        }
        Ok(Comparison { deviations, not_compared })
    }

    /// The tensors that are compared, and those that are not.
    fn pairs<'t>(
        &self,
        ours: &'t dyn TensorSource,
        theirs: &'t dyn TensorSource,
    ) -> Result<(Vec<Pair<'t>>, Vec<NotCompared>), CheckpointError> {
        let (mut pairs, mut not_compared) = (Vec::new(), Vec::new());
        for (place, own) in ours.tensors().iter().enumerate() {
            let Some(other) = theirs.find(&own.name) else {
                not_compared.push((own.name.clone(), "not in the source"));
                continue;
            };
            if own.shape != other.shape {
                let reason = format!("has shape {:?}, in the source {:?}", own.shape, other.shape);
                return Err(CheckpointError::tensor(&own.name, reason));
            }
            match is_float(own.dtype) && is_float(other.dtype) {
                true => pairs.push(Pair { place, ours: own, theirs: other }),
                false => not_compared.push((own.name.clone(), "no floats")),
            }
        }
        let known: BTreeSet<&str> = ours.tensors().iter().map(|own| own.name.as_str()).collect();
        let lacking = theirs.tensors().iter().filter(|other| !known.contains(other.name.as_str()));
        not_compared.extend(lacking.map(|other| (other.name.clone(), "only in the source")));
        Ok((pairs, not_compared))
    }
}

impl Pair<'_> {
    /// The deviation of the numbers `block`.
    fn deviation(
        &self,
        block: &Range<usize>,
        ours: &dyn TensorSource,
        theirs: &dyn TensorSource,
    ) -> Result<Deviation, CheckpointError> {
        let read = |source: &dyn TensorSource, info: &TensorInfo| {
            let (size, mut bytes) = (info.dtype.size(), Vec::new());
            source.read_part(&info.name, block.start * size..block.end * size, &mut bytes)?;
            Ok::<_, CheckpointError>(decode(info.dtype, &bytes))
        };
        Ok(Deviation::of(&read(ours, self.ours)?, &read(theirs, self.theirs)?))
    }
}
