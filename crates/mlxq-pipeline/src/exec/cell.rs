//! One model on one data set: every engine runs, then the figures are compared and judged.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mlxq_engine::native::Activations;
use mlxq_engine::worker::{Worker, WorkerCommand};
use mlxq_engine::{Output, torch};
use mlxq_eval::gate::SpeedEvidence;
use mlxq_eval::metric::Metric;
use serde_json::{Value, json};

use super::convert::target_of;
use super::dataset;
use super::judge::{self, Case, Judged};
use super::measure::{Measured, Protocol, Queries, measure};
use super::provenance::details;
use super::rows::EncodedRows;
use super::run::{FolderSize, Run};
use super::{baseline, gates, test::TestSettings};
use crate::config::{DatasetConfig, ModelConfig};
use crate::record::{Comparison, Side, now_unix};
use crate::task::{Answers, Material, References, Task};
use crate::{PipelineError, Reporter, Unit, Work};

/// Rows that go through an engine at once where only its answers count.
pub(super) const PREDICT_BATCH: usize = 32;
/// The longest time one request to a worker may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3600);

/// PyTorch, or why there is none.
pub(super) type Torch = Result<torch::TorchInstallation, String>;

/// Measures and judges a model on a data set.
///
/// # Errors
/// When model or an engine is wrong.
pub(super) fn test_cell(
    inputs: &Inputs,
    torch: &Torch,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Comparison, PipelineError> {
    let runs = Runs::make(inputs, torch, settings, reporter)?;
    compare(inputs, runs, torch, settings, reporter)
}

/// What the engines of a cell share.
pub(super) struct Inputs<'a> {
    pub(super) model: &'a ModelConfig,
    /// What the model's task comes to on these rows.
    pub(super) task: Task,
    pub(super) material: Material,
    pub(super) references: References,
    /// The figures, the primary one first.
    pub(super) metrics: Vec<Metric>,
    pub(super) rows: EncodedRows,
    /// Folder of the original, and the hash of its files.
    pub(super) source: PathBuf,
    pub(super) fingerprint: String,
    /// Folder of the converted model.
    pub(super) target: PathBuf,
    pub(super) dataset: &'a DatasetConfig,
}

impl<'a> Inputs<'a> {
    /// Of `model`, whose original lies in `source`, on `dataset`.
    ///
    /// # Errors
    /// When data or model is wrong.
    pub(super) fn read(
        model: &'a ModelConfig,
        dataset: &'a DatasetConfig,
        source: PathBuf,
        settings: &TestSettings,
        reporter: &dyn Reporter,
    ) -> Result<Self, PipelineError> {
        let material = dataset::material(dataset, &source, settings, reporter)?;
        let task = model.task.on(&material);
        let (metrics, missing) = task.metrics(&dataset.metrics).map_err(PipelineError::Usage)?;
        for name in missing {
            let (task, key) = (task.name(), &dataset.key);
            reporter.detail(&format!("`{key}`: the task {task} has no figure `{name}`"));
        }
        let rules = task.rules();
        let references = rules.references(&material)?;
        let questions = rules.questions(&material)?;
        let rows = EncodedRows::encode(&questions, &source, dataset.max_length)?;
        let longest = &rows.max_length;
        if dataset.max_length.is_some_and(|asked| asked > longest.tokens) {
            let (tokens, why) = (longest.tokens, &longest.decided_by);
            reporter.warning(&format!("rows of `{}` end at {tokens} tokens: {why}", dataset.key));
        }
        Ok(Self {
            model,
            material,
            references,
            metrics,
            task,
            rows,
            fingerprint: mlxq_hub::fingerprint(&source)?.blake3,
            target: target_of(model, &settings.output_dir),
            source,
            dataset,
        })
    }

    fn answers(&self, run: &Run) -> Result<Answers, PipelineError> {
        let Run { output, info, .. } = run;
        if let Some(bad) = output.data.iter().position(|x| !x.is_finite()) {
            let (number, row) = (output.data[bad], bad / output.cols.max(1));
            let reason = format!("the {} engine gives {number} in row {row}", info.engine);
            return Err(PipelineError::Measure(reason));
        }
        self.task.rules().answers(&self.material, output, info)
    }

    /// The sides of `runs`, PyTorch's first if it ran, held against each other; `against_itself`: both are
    /// the converted model's.
    fn judge(
        &self,
        runs: &[Run],
        answers: &[Answers],
        against_itself: bool,
    ) -> Result<Judged, PipelineError> {
        let sides = runs.iter().zip(answers);
        let sides: Vec<judge::Side> = sides
            .map(|(run, answers)| judge::Side { info: &run.info, output: &run.output, answers })
            .collect();
        let case = Case {
            metrics: &self.metrics,
            references: &self.references,
            labels: &self.material.data.labels,
            queries: &self.material.queries(),
            pairs: self.rows.rows_per_query == 2,
            against_itself,
        };
        judge::judge(&case, &sides)
    }

    /// What was done with the labels, for the record; says what the user should know of it.
    fn check_labels(&self, answers: &[Answers], reporter: &dyn Reporter) -> Option<Value> {
        let baseline = answers.first()?;
        if let Some(fold) = baseline.fold() {
            reporter.message(&format!("{}: {fold}", self.dataset.key));
        }
        let labels = &self.material.data.labels;
        let check = judge::check_labels(baseline, &self.references, labels)?;
        if let Some(warning) = &check.warning {
            let (model, dataset) = (&self.model.name, &self.dataset.key);
            reporter.warning(&format!("{model} on {dataset}: {warning}"));
        }
        Some(check.record.into())
    }

    /// What the runs and their answers come to, in the folders that they read: the last `of_target` the
    /// converted one.
    fn sides(
        &self,
        runs: Vec<Run>,
        answers: &[Answers],
        scores: Vec<Vec<(Metric, f64)>>,
        of_target: usize,
    ) -> Result<Vec<Side>, PipelineError> {
        let [source, target] = [&self.source, &self.target].map(|dir| FolderSize::of(dir));
        let (source, target) = (source?, target?);
        let of_source = runs.len().saturating_sub(of_target);
        let all = runs.into_iter().zip(answers).zip(scores).enumerate();
        let side = |(place, ((run, answers), scores)): (usize, ((Run, &Answers), _))| {
            run.side(scores, answers.first(), if place < of_source { source } else { target })
        };
        Ok(all.map(side).collect())
    }
}

/// The runs of all engines.
struct Runs {
    torch: Option<Run>,
    /// The original in the native engine, or with `--against-itself` the converted model once more.
    reference: Run,
    converted: Run,
    measured: Measured,
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
            let how = format!("f32 {} threads={}", settings.scenario.words(), settings.threads);
            baseline::key(&inputs.fingerprint, &inputs.rows.batch, &torch.versions, &how)
        });
        let asked = key.as_ref().filter(|_| settings.reuse_baseline);
        let kept = asked.and_then(|key| baseline::find(&settings.places, key));

        let start = |command, model| start(command, model, &inputs.rows, settings, reporter);
        let mut workers = Vec::new();
        if let (Ok(torch), None) = (torch, &kept) {
            workers.push(start(torch.command(TIMEOUT), &inputs.source)?);
        }
        let converted = || start(native(settings, settings.activations), &inputs.target);
        workers.push(match settings.against_itself {
            true => converted()?,
            // The reference is what the checkpoint says, to the last bit that float32 has.
            false => start(native(settings, Activations::Float32), &inputs.source)?,
        });
        workers.push(converted()?);

        let (mut runs, measured) = run_all(&mut workers, &inputs.rows, settings, reporter)?;
        let lost = || PipelineError::Measure("an engine's run is missing".to_owned());
        let converted = runs.pop().ok_or_else(lost)?;
        let reference = runs.pop().ok_or_else(lost)?;
        let fresh = runs.pop();
        if let (Some(run), Some(key)) = (&fresh, &key) {
            baseline::keep(&settings.places, key, run)?;
        }
        Ok(Self { torch: fresh.or(kept), reference, converted, measured })
    }
}

/// The native engine in a process of its own: this program serves it.
pub(super) fn native(settings: &TestSettings, activations: Activations) -> WorkerCommand {
    WorkerCommand {
        engine: "native".to_owned(),
        program: settings.program.clone(),
        arguments: vec!["worker".into(), format!("--activations={activations}").into()],
        timeout: TIMEOUT,
    }
}

/// Starts a process, which loads the model in the folder `model` and gets the rows.
///
/// # Errors
/// When it cannot.
pub(super) fn start(
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
) -> Result<(Vec<Run>, Measured), PipelineError> {
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
    let TestSettings { scenario, rounds, block_seconds, .. } = *settings;
    let protocol = Protocol { scenario, rounds, block_seconds };
    let EncodedRows { tokenizing, rows_per_query, .. } = rows;
    let queries = Queries { tokenizing, rows_per_query: *rows_per_query };
    let mut measured = measure(workers, &queries, &protocol, reporter)?;
    for reason in &measured.checks.invalid {
        reporter.warning(&format!("the times are not valid: {reason}"));
    }
    let timings = std::mem::take(&mut measured.timings);
    let answered = workers.iter().zip(outputs).zip(timings);
    let runs = answered.map(|((worker, output), timing)| Run::new(worker, output, timing));
    Ok((runs.collect(), measured))
}

fn compare(
    inputs: &Inputs,
    runs: Runs,
    torch: &Torch,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Comparison, PipelineError> {
    let mut details = details(inputs, &runs.measured, settings)?;
    if let Some(run) = &runs.torch {
        let check = judge::agreement(&run.output, &runs.reference.output);
        warn_of_disagreement(&check, reporter);
        details.insert("implementation_check".to_owned(), check);
    }
    let against_itself = settings.against_itself;
    let speed = match against_itself {
        true => runs.converted.timing.speed_against(&runs.reference.timing),
        false => gates::speed_evidence(torch, runs.torch.as_ref(), &runs.converted),
    };
    let ratio = match &speed {
        SpeedEvidence::Measured { ratio, .. } => Some(*ratio),
        // What is wrong with the times is what the user wants to see.
        _ if against_itself => runs.converted.timing.ratio_to(&runs.reference.timing),
        _ => None,
    };
    if let Some((low, high)) = ratio.map(|ratio| ratio.two_sided()) {
        details.insert("speedup_interval_95".to_owned(), json!([low, high]));
    }
    let invalid_times = runs.measured.checks.invalid.clone();
    let runs: Vec<Run> =
        [runs.torch, Some(runs.reference), Some(runs.converted)].into_iter().flatten().collect();
    let answers = runs.iter().map(|run| inputs.answers(run)).collect::<Result<Vec<_>, _>>()?;
    let judged = inputs.judge(&runs, &answers, against_itself)?;
    if let Some(labels) = inputs.check_labels(&answers, reporter) {
        details.insert("labels".to_owned(), labels);
    }
    let mut sides =
        inputs.sides(runs, &answers, judged.scores, if against_itself { 2 } else { 1 })?;
    let lost = || PipelineError::Measure("an engine's figures are missing".to_owned());
    let converted = sides.pop().ok_or_else(lost)?;
    let reference = sides.pop().ok_or_else(lost)?;
    let evidence = gates::Evidence {
        drop: &judged.drop,
        logits: judged.logits.as_ref(),
        speed: &speed,
        invalid_times: &invalid_times,
        converted: &converted.figures,
        against_itself,
    };
    let gates = gates::judge(inputs, &evidence)?;
    Ok(Comparison {
        model: inputs.model.name.clone(),
        dataset: inputs.dataset.key.clone(),
        torch: sides.pop(),
        torch_missing: torch.as_ref().err().cloned(),
        reference,
        against_itself,
        converted,
        speedup: ratio.map(|ratio| ratio.value()),
        references: inputs.references.first(),
        sample_size: inputs.references.count(),
        gates,
        judgement: judged.judgement,
        samples: judged.samples,
        details,
        timestamp: now_unix(),
    })
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
