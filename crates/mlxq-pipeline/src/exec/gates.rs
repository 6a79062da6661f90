//! The gates of a cell: what was measured, put before the rules that were asked for.

use std::path::Path;

use mlxq_checkpoint::recipe::Recipe;
use mlxq_checkpoint::{Checkpoint, ConvertRequest};
use mlxq_eval::fidelity::LogitFidelity;
use mlxq_eval::gate::{self, DropEvidence, Gate, SpeedEvidence, Verdict};

use super::cell::{Inputs, Torch};
use super::run::Run;
use crate::PipelineError;
use crate::record::SideFigures;

/// What was measured, for the gates.
pub(super) struct Evidence<'a> {
    /// The drop of the primary figure from the baseline to the converted model.
    pub(super) drop: &'a DropEvidence,
    /// The logits of both; `None` where the model gives none.
    pub(super) logits: Option<&'a LogitFidelity>,
    pub(super) speed: &'a SpeedEvidence,
    /// Why the times are not valid, if they are not.
    pub(super) invalid_times: &'a [String],
    /// The converted model's figures.
    pub(super) converted: &'a SideFigures,
    /// Whether the baseline is the converted model itself.
    pub(super) against_itself: bool,
}

/// Every gate: accuracy, speed and size always, the others where they are asked for.
///
/// # Errors
/// When the original cannot be read.
pub(super) fn judge(inputs: &Inputs, evidence: &Evidence) -> Result<Vec<Gate>, PipelineError> {
    const NO_LOGITS: &str = "the model gives no logits of several classes";
    let asked = &inputs.model.gates;
    let arithmetic = expected_words(&inputs.model.recipe, &inputs.source)?;
    let Evidence { logits, converted, .. } = *evidence;
    let size = (converted.size_mb, asked.target_size_mb, asked.size_rule, asked.size_tolerance);
    let peak = converted.memory_mb.map(|memory| memory.1).ok_or("memory cannot be read here");
    let agreed = logits.map(|logits| (logits.agreed, logits.rows())).ok_or(NO_LOGITS);
    let kl = logits.map(|logits| logits.kl.as_slice()).ok_or(NO_LOGITS);
    let timed = |gate| only_valid(gate, evidence.invalid_times);
    let speed = match evidence.against_itself {
        true => gate::speed_of_itself(evidence.speed),
        false => gate::speed(evidence.speed, asked.min_speedup),
    };
    let always = [
        gate::accuracy(evidence.drop, asked.max_accuracy_drop),
        timed(speed),
        gate::size(size.0, size.1, size.2, size.3, &arithmetic),
    ];
    let further = [
        timed(gate::p99(latencies(converted), asked.max_p99_ms)),
        gate::memory(peak, asked.max_memory_mb),
        gate::agreement(agreed, asked.min_agreement),
        gate::kl(kl, asked.max_kl),
    ];
    let further = further.into_iter().filter(|gate| gate.verdict != Verdict::NotSet);
    Ok(always.into_iter().chain(further).collect())
}

fn latencies(figures: &SideFigures) -> Result<&[f64], &'static str> {
    match figures.latencies_ms.as_slice() {
        [] => Err("single queries were not timed"),
        latencies => Ok(latencies),
    }
}

/// Times that are not valid decide nothing.
fn only_valid(gate: Gate, invalid: &[String]) -> Gate {
    if invalid.is_empty() || !matches!(gate.verdict, Verdict::Pass | Verdict::Fail) {
        return gate;
    }
    let description =
        format!("the times are not valid ({}): {}", invalid.join("; "), gate.description);
    Gate { verdict: Verdict::NotMeasured, point_passed: false, description, ..gate }
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
