//! What a folder holds, and how far it is from its source.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mlxq_checkpoint::recipe::{Format, Recipe};
use mlxq_checkpoint::tensor::TensorSource;
use mlxq_checkpoint::{
    Checkpoint, CheckpointError, Comparison, Inspection, Progress, conversion_at, source_stamp,
};

use crate::record::{Inspected, Row};
use crate::{PipelineError, Reporter, Unit, Work};

/// Looks at `folder`, original or converted. A converted folder is compared with `source`, else with the
/// checkpoint that its metadata name if that has not changed since.
///
/// # Errors
/// When a folder is no model, or `source` is that of another.
pub fn inspect_folder(
    folder: &Path,
    source: Option<&Path>,
    reporter: &dyn Reporter,
) -> Result<Inspected, PipelineError> {
    let checkpoint = Checkpoint::open(folder)?;
    let layout = mlxq_models::layout(checkpoint.model_type());
    let usual = Format::new("affine", None, None).map_err(PipelineError::Usage)?;
    let recipe = Recipe::uniform(usual, None);
    let inspection = Inspection::new(&checkpoint, layout, &recipe)?;
    let quantization = checkpoint.quantization();
    let source = match source {
        Some(source) => Some(source.to_owned()),
        None if inspection.problem().is_some() || quantization.is_none() => None,
        None => recorded_source(folder),
    };
    let comparison = source.as_deref().map(|source| compare(&inspection, source, reporter));
    let Comparison { deviations, not_compared } = match comparison.transpose()? {
        Some(comparison) => comparison,
        None => Comparison {
            deviations: vec![None; inspection.plan().tensors.len()],
            not_compared: Vec::new(),
        },
    };
    let tensors = inspection.plan().tensors.iter().cloned().zip(deviations);
    Ok(Inspected {
        folder: folder.to_owned(),
        model_type: checkpoint.model_type().to_owned(),
        has_layout: layout.is_some(),
        is_converted: quantization.is_some(),
        format: quantization.map_or(recipe.format, |quantization| quantization.default()),
        problem: inspection.problem().map(ToString::to_string),
        in_files: (
            checkpoint.tensors().len(),
            checkpoint.tensors().iter().map(|info| info.bytes() as u64).sum(),
        ),
        source,
        rows: tensors.map(|(tensor, deviation)| Row { tensor, deviation }).collect(),
        left_out: inspection.left_out().to_vec(),
        not_compared,
    })
}

fn compare(
    inspection: &Inspection,
    source: &Path,
    reporter: &dyn Reporter,
) -> Result<Comparison, PipelineError> {
    let checkpoint = Checkpoint::open(source)?;
    let work = Work::new(reporter, "comparing", Unit::Bytes);
    let mut show = |Progress { done, total }| {
        work.show(done, total);
        if reporter.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    match inspection.compare(&checkpoint, &mut show) {
        Err(CheckpointError::Interrupted) => Err(PipelineError::Interrupted),
        comparison => Ok(comparison?),
    }
}

/// The checkpoint that the folder's metadata name, if it is there and what it was.
fn recorded_source(folder: &Path) -> Option<PathBuf> {
    let metadata = conversion_at(folder)?;
    let source = metadata.get("source_path")?.as_str()?;
    let stamp = source_stamp(&Checkpoint::open(Path::new(source)).ok()?).ok()?;
    (metadata.get("source_stamp") == Some(&stamp)).then(|| source.into())
}
