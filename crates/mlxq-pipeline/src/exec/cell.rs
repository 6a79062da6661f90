//! One model on one data set: every engine runs, then the figures are compared and judged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mlxq_checkpoint::recipe::Recipe;
use mlxq_checkpoint::{Checkpoint, ConvertRequest};
use mlxq_engine::native::Activations;
use mlxq_engine::worker::{Worker, WorkerCommand};
use mlxq_engine::{Output, torch};
use mlxq_eval::data::{Dataset, FileSpec};
use mlxq_eval::gate::{self, Gate, SpeedEvidence};
use mlxq_eval::stats::LogRatio;
use serde_json::{Value, json};

use super::convert::target_of;
use super::dataset::{Loaded, load};
use super::judge::{self, Answers, References};
use super::measure::{Protocol, measure};
use super::provenance::details;
use super::rows::EncodedRows;
use super::run::{FolderSize, Run};
use super::{baseline, test::TestSettings};
use crate::config::{DatasetConfig, ModelConfig};
use crate::record::{Comparison, Side, now_unix};
use crate::{PipelineError, Reporter, Unit, Work};

/// Rows that go through an engine at once where only its answers count.
const PREDICT_BATCH: usize = 32;
/// The longest time one request to a worker may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// PyTorch, or why there is none.
pub(super) type Torch = Result<torch::TorchInstallation, String>;

/// Measures and judges `model`, whose original lies in `source`, on `dataset`.
///
/// # Errors
/// When data, model or an engine is wrong.
pub(super) fn test_cell(
    model: &ModelConfig,
    dataset: &DatasetConfig,
    source: PathBuf,
    torch: &Torch,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Comparison, PipelineError> {
    reporter.message(&format!("Testing {} on {}", model.name, dataset.key));
    let inputs = Inputs::read(model, dataset, source, settings, reporter)?;
    let runs = Runs::make(&inputs, torch, settings, reporter)?;
    compare(&inputs, runs, torch, settings, reporter)
}

/// What the engines of a cell share.
pub(super) struct Inputs<'a> {
    pub(super) model: &'a ModelConfig,
    pub(super) spec: FileSpec,
    pub(super) data: Dataset,
    pub(super) references: References,
    pub(super) rows: EncodedRows,
    /// Folder of the original, and the hash of its files.
    pub(super) source: PathBuf,
    pub(super) fingerprint: String,
    /// Folder of the converted model.
    pub(super) target: PathBuf,
    dataset: &'a DatasetConfig,
}

impl<'a> Inputs<'a> {
    fn read(
        model: &'a ModelConfig,
        dataset: &'a DatasetConfig,
        source: PathBuf,
        settings: &TestSettings,
        reporter: &dyn Reporter,
    ) -> Result<Self, PipelineError> {
        let Loaded::Rows { spec, data } = load(dataset, None, settings, reporter)? else {
            let reason = format!("task `{}` needs rows, not a collection", model.task.name());
            return Err(PipelineError::Usage(reason));
        };
        let references = References::of(&data, model.task)?;
        let rows = EncodedRows::encode(&data, model.task, &source, dataset.max_length)?;
        let longest = &rows.max_length;
        if dataset.max_length.is_some_and(|asked| asked > longest.tokens) {
            let (tokens, why) = (longest.tokens, &longest.decided_by);
            reporter.warning(&format!("rows of `{}` end at {tokens} tokens: {why}", dataset.key));
        }
        Ok(Self {
            model,
            spec: *spec,
            data,
            references,
            rows,
            fingerprint: mlxq_hub::fingerprint(&source)?.blake3,
            target: target_of(model, &settings.output_dir),
            source,
            dataset,
        })
    }

    fn answers(&self, run: &Run) -> Result<Answers, PipelineError> {
        let (task, label_map) = (self.model.task, &self.spec.label_map);
        Answers::of(&run.output, &run.info, task, &self.data, label_map)
    }

    /// What a run and its answers come to, in a folder of that size.
    fn side(&self, run: Run, answers: &Answers, size: FolderSize) -> Result<Side, PipelineError> {
        let scores = judge::figures(self.model.task, answers, &self.references)?;
        Ok(run.side(scores, answers.first(), size))
    }
}

/// The runs of all engines.
struct Runs {
    torch: Option<Run>,
    original: Run,
    converted: Run,
}

impl Runs {
    /// Runs the engines side by side; PyTorch's run is taken from the cache when that is asked for.
    fn make(
        inputs: &Inputs,
        torch: &Torch,
        settings: &TestSettings,
        reporter: &dyn Reporter,
    ) -> Result<Self, PipelineError> {
        let key = torch.as_ref().ok().map(|torch| {
            let how = format!("f32 single-stream threads={}", settings.threads);
            baseline::key(&inputs.fingerprint, &inputs.rows.batch, &torch.versions, &how)
        });
        let asked = key.as_ref().filter(|_| settings.reuse_baseline);
        let kept = asked.and_then(|key| baseline::find(&settings.places, key));

        let start = |command, model| start(command, model, &inputs.rows, settings, reporter);
        let mut workers = Vec::new();
        if let (Ok(torch), None) = (torch, &kept) {
            workers.push(start(torch.command(TIMEOUT), &inputs.source)?);
        }
        // The reference is what the checkpoint says, to the last bit that float32 has.
        workers.push(start(native(settings, Activations::Float32), &inputs.source)?);
        workers.push(start(native(settings, settings.activations), &inputs.target)?);

        let mut runs = run_all(&mut workers, &inputs.rows, settings, reporter)?;
        let lost = || PipelineError::Measure("an engine's run is missing".to_owned());
        let converted = runs.pop().ok_or_else(lost)?;
        let original = runs.pop().ok_or_else(lost)?;
        let fresh = runs.pop();
        if let (Some(run), Some(key)) = (&fresh, &key) {
            baseline::keep(&settings.places, key, run)?;
        }
        Ok(Self { torch: fresh.or(kept), original, converted })
    }
}

/// The native engine in a process of its own: this program serves it.
fn native(settings: &TestSettings, activations: Activations) -> WorkerCommand {
    WorkerCommand {
        engine: "native".to_owned(),
        program: settings.program.clone(),
        arguments: vec!["worker".into(), format!("--activations={activations}").into()],
        timeout: TIMEOUT,
    }
}

fn start(
    command: WorkerCommand,
    model: &Path,
    rows: &EncodedRows,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Worker, PipelineError> {
    reporter.detail(&format!("loading {} with the {} engine", model.display(), command.engine));
    let mut worker = Worker::start(command, model, settings.threads)?;
    worker.load_rows(&rows.batch)?;
    Ok(worker)
}

/// Lets every worker answer all rows, then measures their times in turn.
fn run_all(
    workers: &mut [Worker],
    rows: &EncodedRows,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Vec<Run>, PipelineError> {
    let mut outputs: Vec<Output> = Vec::with_capacity(workers.len());
    let total = workers.len() as u64;
    let work = Work::new(reporter, "predicting", Unit::Steps);
    for worker in workers.iter_mut() {
        work.show(outputs.len() as u64, total);
        outputs.push(worker.predict_rows(PREDICT_BATCH)?);
        if reporter.interrupted() {
            return Err(PipelineError::Interrupted);
        }
    }
    drop(work);
    let protocol = Protocol { rounds: settings.rounds, block_seconds: settings.block_seconds };
    let timings = measure(workers, rows, protocol, reporter)?;
    let answered = workers.iter().zip(outputs).zip(timings);
    Ok(answered.map(|((worker, output), timing)| Run::new(worker, output, timing)).collect())
}

fn compare(
    inputs: &Inputs,
    runs: Runs,
    torch: &Torch,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Comparison, PipelineError> {
    let Runs { torch: torch_run, original, converted } = runs;
    let mut details = details(inputs, settings)?;
    if let Some(run) = &torch_run {
        let check = judge::agreement(&run.output, &original.output);
        warn_of_disagreement(&check, reporter);
        details.insert("implementation_check".to_owned(), check);
    }
    let speed = speed_evidence(torch, torch_run.as_ref(), &converted);
    let speedup = match &speed {
        SpeedEvidence::Measured { ratio, .. } => {
            let (low, high) = ratio.two_sided();
            details.insert("speedup_interval_95".to_owned(), json!([low, high]));
            Some(ratio.value())
        }
        _ => None,
    };
    let torch_answers = torch_run.as_ref().map(|run| inputs.answers(run)).transpose()?;
    let original_answers = inputs.answers(&original)?;
    let converted_answers = inputs.answers(&converted)?;
    if let Some(fold) = converted_answers.fold() {
        reporter.message(&format!("{}: {fold}", inputs.dataset.key));
        details.insert("label_fold".to_owned(), fold.into());
    }
    let base = torch_answers.as_ref().unwrap_or(&original_answers);
    let metric = inputs.model.task.primary_metric();
    let drop = judge::drop(metric, [base, &converted_answers], &inputs.references);

    let source_size = FolderSize::of(&inputs.source)?;
    let torch_side = match (torch_run, &torch_answers) {
        (Some(run), Some(answers)) => Some(inputs.side(run, answers, source_size)?),
        _ => None,
    };
    let original = inputs.side(original, &original_answers, source_size)?;
    let converted = inputs.side(converted, &converted_answers, FolderSize::of(&inputs.target)?)?;
    let gates = gates(inputs, &drop, &speed, converted.figures.size_mb)?;
    Ok(Comparison {
        model: inputs.model.name.clone(),
        dataset: inputs.dataset.key.clone(),
        bits: inputs.model.recipe.format.bits(),
        torch: torch_side,
        torch_missing: torch.as_ref().err().cloned(),
        native_original: original,
        converted,
        speedup,
        references: inputs.references.first(),
        sample_size: inputs.data.rows.len(),
        gates,
        details,
        timestamp: now_unix(),
    })
}

fn gates(
    inputs: &Inputs,
    drop: &gate::DropEvidence,
    speed: &SpeedEvidence,
    size_mb: f64,
) -> Result<[Gate; 3], PipelineError> {
    let asked = &inputs.model.gates;
    let arithmetic = expected_words(&inputs.model.recipe, &inputs.source)?;
    Ok([
        gate::accuracy(drop, asked.max_accuracy_drop),
        gate::speed(speed, asked.min_speedup),
        gate::size(size_mb, asked.target_size_mb, asked.size_rule, &arithmetic),
    ])
}

fn speed_evidence(torch: &Torch, run: Option<&Run>, converted: &Run) -> SpeedEvidence {
    let run = match (torch, run) {
        (Err(why), _) => {
            return SpeedEvidence::None(format!("no PyTorch to compare with: {why}"));
        }
        (Ok(_), None) => return SpeedEvidence::None("PyTorch did not run".to_owned()),
        (Ok(_), Some(run)) if run.cached => return SpeedEvidence::Cached,
        (Ok(_), Some(run)) => run,
    };
    let pairs = converted.timing.blocks.iter().zip(&run.timing.blocks);
    let ratios: Vec<f64> = pairs.map(|(converted, torch)| converted.qpm() / torch.qpm()).collect();
    let seconds = run.timing.seconds().min(converted.timing.seconds());
    match LogRatio::new(&ratios) {
        Some(ratio) => SpeedEvidence::Measured { ratio, seconds },
        None => SpeedEvidence::None("the blocks gave no ratios".to_owned()),
    }
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

/// PyTorch and the native engine run the same checkpoint in f32: they must agree.
fn warn_of_disagreement(check: &Value, reporter: &dyn Reporter) {
    let cosine = check["smallest_cosine"].as_f64().unwrap_or(0.0);
    // A row of one logit has the cosine 1 or -1 whatever it holds.
    let relative = check["relative_difference"].as_f64().unwrap_or(0.0);
    if cosine < 0.9999 || relative > 1e-3 {
        reporter.warning(&format!(
            "the native engine differs from PyTorch on the same checkpoint (smallest cosine \
             {cosine:.6}, largest difference {relative:.1e} of the largest number): do not trust the \
             verdict"
        ));
    }
}
