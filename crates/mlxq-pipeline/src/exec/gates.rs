//! The gates of a cell: what was measured, put before the rules that were asked for.

use std::path::Path;

use mlxq_checkpoint::recipe::Recipe;
use mlxq_checkpoint::{Checkpoint, ConvertRequest};
use mlxq_eval::gate::{self, DropEvidence, Gate, SpeedEvidence};

use super::cell::{Inputs, Torch};
use super::run::Run;
use crate::PipelineError;
use crate::record::{Judgement, Side};

/// Every gate: accuracy, speed and size always, the others where they are asked for.
///
/// # Errors
/// When the original cannot be read.
pub(super) fn judge(
    inputs: &Inputs,
    drop: &DropEvidence,
    _judgement: &Judgement,
    speed: &SpeedEvidence,
    converted: &Side,
) -> Result<Vec<Gate>, PipelineError> {
    let asked = &inputs.model.gates;
    let arithmetic = expected_words(&inputs.model.recipe, &inputs.source)?;
    let size_mb = converted.figures.size_mb;
    Ok(vec![
        gate::accuracy(drop, asked.max_accuracy_drop),
        gate::speed(speed, asked.min_speedup),
        gate::size(size_mb, asked.target_size_mb, asked.size_rule, &arithmetic),
    ])
}

/// The times of converted model and PyTorch, block by block, or why there are none.
pub(super) fn speed_evidence(torch: &Torch, run: Option<&Run>, converted: &Run) -> SpeedEvidence {
    let run = match (torch, run) {
        (Err(why), _) => {
            return SpeedEvidence::None(format!("no PyTorch to compare with: {why}"));
        }
        (Ok(_), None) => return SpeedEvidence::None("PyTorch did not run".to_owned()),
        (Ok(_), Some(run)) if run.cached => return SpeedEvidence::Cached,
        (Ok(_), Some(run)) => run,
    };
    converted.timing.speed_against(&run.timing)
}

/// What the recipe must come to, by the tensor list.
fn expected_words(recipe: &Recipe, source: &Path) -> Result<String, PipelineError> {
    let checkpoint = Checkpoint::open(source)?;
    let layout = mlxq_models::layout(checkpoint.model_type());
    let task = mlxq_checkpoint::Task::Quantize(recipe.clone());
    let plan = ConvertRequest::new(&checkpoint, layout, source, task).prospect()?.plan;
    let mb = plan.tensor_bytes() as f64 / f64::from(1 << 20);
    Ok(format!(
        "{} bits in groups of {} take {mb:.2} MB ({}), and the tokenizer's files",
        recipe.format.bits(),
        recipe.format.group_size(),
        plan.arithmetic()
    ))
}
