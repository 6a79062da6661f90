//! Tests: every selected model on every selected data set, measured, judged and recorded.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mlxq_checkpoint::recipe::{Affine, Recipe};
use mlxq_checkpoint::{Checkpoint, already_converted};
use mlxq_engine::worker::{Worker, WorkerCommand};
use mlxq_engine::{Engine, EngineInfo, Output, torch};
use mlxq_eval::data::{Dataset, FileSpec, read};
use mlxq_eval::gate::{self, SpeedEvidence, Verdict};
use mlxq_eval::stats::LogRatio;
use serde_json::{Map, Value, json};

use super::baseline::{self, Baseline};
use super::convert::{ConvertSettings, convert_model, selected, target_of};
use super::judge::{self, Answers, References};
use super::measure::{Protocol, Timing, measure};
use super::rows::EncodedRows;
use crate::config::{Config, DatasetConfig, DatasetSource, ModelConfig, Task};
use crate::record::{Comparison, Side, SideFigures, now_unix, write_json};
use crate::report::table;
use crate::{ExitClass, Logged, PipelineError, Places, Reporter};

/// Rows that go through an engine at once where only its answers count.
const PREDICT_BATCH: usize = 32;
/// The longest time one request to a worker may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

/// What the user asks of a test.
#[derive(Debug, Clone)]
pub struct TestSettings {
    /// Convert what is missing first.
    pub convert: bool,
    /// Only the model of that name.
    pub model: Option<String>,
    /// Only the data set of that key.
    pub dataset: Option<String>,
    /// Where converted models lie.
    pub output_dir: PathBuf,
    /// Where records lie.
    pub places: Places,
    /// The Hub's cache on this machine.
    pub hub_cache: Option<PathBuf>,
    /// This program: it serves the native engine to itself.
    pub program: PathBuf,
    /// The Python of the baseline; `None`: look on the PATH.
    pub python: Option<PathBuf>,
    /// Measure without PyTorch.
    pub no_torch: bool,
    /// Threads of every engine.
    pub threads: usize,
    /// At most that many rows of each data set.
    pub max_samples: Option<usize>,
    /// Rounds of timed blocks, at least 5.
    pub rounds: usize,
    /// Seconds that a block of the fastest engine lasts at least.
    pub block_seconds: f64,
    /// Use PyTorch's kept predictions and times where nothing has changed.
    pub reuse_baseline: bool,
    /// Treat inconclusive as failed.
    pub strict: bool,
    /// Say what would be done, and stop.
    pub dry_run: bool,
}

/// Tests what `settings` selects of `config`; `show` gets each table. One failure does not stop the
/// others.
///
/// # Errors
/// When nothing is selected, settings are out of range, or records cannot be written.
pub fn test_models(
    config: &Config,
    settings: &TestSettings,
    reporter: &dyn Reporter,
    show: &mut dyn FnMut(&str),
) -> Result<ExitClass, PipelineError> {
    if settings.rounds < 5 || !(0.01..=600.0).contains(&settings.block_seconds) {
        let reason = "at least 5 pairs of blocks of 0.01 to 600 seconds are needed";
        return Err(PipelineError::Usage(reason.to_owned()));
    }
    let cells = cells(config, settings)?;
    if settings.dry_run {
        return dry_run(&cells, settings, reporter);
    }
    let reporter: &dyn Reporter =
        &Logged::open(reporter, &settings.places.log("testing_8bit"), "MLX8BitTester")?;
    let torch = find_torch(settings, reporter);
    let mut class = ExitClass::Done;
    let mut summary: Map<String, Value> = Map::new();
    for Cell { model, datasets } in cells {
        let mut results = Map::new();
        for dataset in datasets {
            let outcome = prepare(model, settings, reporter)
                .and_then(|source| test_cell(model, dataset, &source, &torch, settings, reporter));
            let (result, cell_class) = match outcome {
                Ok(comparison) => finish(&comparison, settings, reporter, show)?,
                Err(error) => {
                    reporter.warning(&format!("{} on {}: {error}", model.name, dataset.key));
                    let record = json!({"error": error.to_string(), "failed": true});
                    (record, error.exit_class())
                }
            };
            class = class.and(cell_class);
            results.insert(dataset.key.clone(), result);
        }
        let bits = model.recipe.affine.bits();
        let one = json!({model.name.clone(): results.clone()});
        write_json(&settings.places.test_results(&model.name, bits), &one)?;
        summary.insert(model.name.clone(), Value::Object(results));
        write_json(&settings.places.test_summary(bits), &Value::Object(summary.clone()))?;
    }
    reporter.message(&format!("records: {}", settings.places.root().display()));
    Ok(class)
}

/// A model and the data sets it is tested on.
struct Cell<'c> {
    model: &'c ModelConfig,
    datasets: Vec<&'c DatasetConfig>,
}

fn cells<'c>(config: &'c Config, settings: &TestSettings) -> Result<Vec<Cell<'c>>, PipelineError> {
    let asked = settings.dataset.as_deref();
    if let Some(key) = asked.filter(|key| !config.datasets.contains_key(*key)) {
        let known: Vec<_> = config.datasets.keys().map(String::as_str).collect();
        let reason =
            format!("data set `{key}` not found in config; there are: {}", known.join(", "));
        return Err(PipelineError::Usage(reason));
    }
    let mut cells = Vec::new();
    for model in selected(config, settings.model.as_deref())? {
        let named = model.benchmarks.iter().filter_map(|key| config.datasets.get(key));
        // A data set asked for by name is tested even where the model does not list it.
        let datasets: Vec<_> = match asked.filter(|_| settings.model.is_some()) {
            Some(key) => config.datasets.get(key).into_iter().collect(),
            None => named.filter(|dataset| asked.is_none_or(|key| dataset.key == key)).collect(),
        };
        if !datasets.is_empty() {
            cells.push(Cell { model, datasets });
        }
    }
    if cells.is_empty() {
        let reason = "nothing to test: no selected model has a selected data set in `benchmarks`";
        return Err(PipelineError::Usage(reason.to_owned()));
    }
    Ok(cells)
}

fn dry_run(
    cells: &[Cell],
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<ExitClass, PipelineError> {
    for Cell { model, datasets } in cells {
        let converted = already_converted(&target_of(model, &settings.output_dir))?.is_some();
        if settings.convert {
            convert_model(model, &convert_settings(settings, true), reporter)?;
        } else if !converted {
            reporter.warning(&format!("`{}` is not converted yet", model.name));
        }
        for dataset in datasets {
            reporter.message(&format!("would test {} on {}", model.name, dataset.key));
        }
    }
    Ok(ExitClass::Done)
}

fn convert_settings(settings: &TestSettings, dry_run: bool) -> ConvertSettings {
    ConvertSettings {
        output_dir: settings.output_dir.clone(),
        model: None,
        dry_run,
        skip_existing: true,
        places: settings.places.clone(),
        hub_cache: settings.hub_cache.clone(),
    }
}

/// PyTorch, or why there is none.
type Torch = Result<torch::TorchInstallation, String>;

fn find_torch(settings: &TestSettings, reporter: &dyn Reporter) -> Torch {
    if settings.no_torch {
        return Err("it was switched off".to_owned());
    }
    let found = torch::find(settings.python.as_deref()).map_err(|error| error.to_string());
    match &found {
        Ok(torch) => reporter.message(&format!("baseline: {}", torch.versions)),
        Err(why) => reporter.warning(&format!("no baseline: {why}")),
    }
    found
}

/// Makes sure that the model is converted; the folder of its original.
fn prepare(
    model: &ModelConfig,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<PathBuf, PipelineError> {
    let target = target_of(model, &settings.output_dir);
    if already_converted(&target)?.is_none() {
        if !settings.convert {
            return Err(PipelineError::NotConverted { path: target, model: model.name.clone() });
        }
        let record = convert_model(model, &convert_settings(settings, false), reporter)?;
        write_json(&settings.places.conversion(&model.name), &record)?;
    }
    Ok(mlxq_hub::resolve(&model.source, settings.hub_cache.as_deref())?)
}

fn finish(
    comparison: &Comparison,
    settings: &TestSettings,
    reporter: &dyn Reporter,
    show: &mut dyn FnMut(&str),
) -> Result<(Value, ExitClass), PipelineError> {
    let record = comparison.to_json();
    let (model, dataset) = (&comparison.model, &comparison.dataset);
    let path = settings.places.comparison(model, comparison.bits, dataset);
    write_json(&path, &record)?;
    let words = match comparison.verdict() {
        Verdict::Pass => format!("All quality gates passed for {model} on {dataset}"),
        Verdict::Fail => format!("Quality gates failed for {model} on {dataset}"),
        other => format!("Quality gates {} for {model} on {dataset}", other.words()),
    };
    reporter.message(&words);
    reporter.message(&format!("record: {}", path.display()));
    show(&table(comparison));
    let class = match comparison.verdict() {
        Verdict::Pass | Verdict::NotSet => ExitClass::Done,
        Verdict::Fail => ExitClass::GateFailed,
        Verdict::Inconclusive | Verdict::NotMeasured if settings.strict => ExitClass::GateFailed,
        Verdict::Inconclusive | Verdict::NotMeasured => ExitClass::Inconclusive,
    };
    Ok((record, class))
}

/// Everything a cell's engines share.
struct Bench<'a> {
    task: Task,
    dataset: &'a Dataset,
    spec: &'a FileSpec,
    rows: &'a EncodedRows,
    references: &'a References,
}

fn test_cell(
    model: &ModelConfig,
    dataset: &DatasetConfig,
    source: &Path,
    torch: &Torch,
    settings: &TestSettings,
    reporter: &dyn Reporter,
) -> Result<Comparison, PipelineError> {
    reporter.message(&format!("Testing {} on {}", model.name, dataset.key));
    let spec = local_file(dataset, settings)?;
    let data = read(&spec)?;
    for (reason, count) in &data.skipped {
        reporter.warning(&format!("{count} rows of `{}` are not used: {reason}", dataset.key));
    }
    let references = References::of(&data, model.task)?;
    let rows = EncodedRows::encode(&data, model.task, source, dataset.max_length)?;
    let bench = Bench {
        task: model.task,
        dataset: &data,
        spec: &spec,
        rows: &rows,
        references: &references,
    };
    let fingerprint = mlxq_hub::fingerprint(source)?;
    let target = target_of(model, &settings.output_dir);

    let torch_key = |versions: &str| {
        let settings = format!("f32 single-stream threads={}", settings.threads);
        baseline::key(&fingerprint.sha256, &rows.batch, versions, &settings)
    };
    let kept = match torch {
        Ok(torch) if settings.reuse_baseline => {
            baseline::find(&settings.places, &torch_key(&torch.versions))
        }
        _ => None,
    };
    let mut torch_worker = match torch {
        Ok(torch) if kept.is_none() => {
            Some(start(torch.command(TIMEOUT), source, &rows, settings, reporter)?)
        }
        _ => None,
    };
    let native = || WorkerCommand {
        engine: "native".to_owned(),
        program: settings.program.clone(),
        arguments: vec!["worker".into()],
        timeout: TIMEOUT,
    };
    let mut original = start(native(), source, &rows, settings, reporter)?;
    let mut converted = start(native(), &target, &rows, settings, reporter)?;

    let mut workers: Vec<&mut Worker> =
        torch_worker.iter_mut().chain([&mut original, &mut converted]).collect();
    let outputs = workers
        .iter_mut()
        .map(|worker| {
            reporter.detail(&format!("predicting with {}", worker.info().version));
            worker.predict_rows(PREDICT_BATCH)
        })
        .collect::<Result<Vec<Output>, _>>()?;
    let protocol = Protocol { rounds: settings.rounds, block_seconds: settings.block_seconds };
    let timings = measure(&mut workers, &rows, protocol, reporter)?;

    let runs: Vec<Run> = workers
        .iter()
        .zip(outputs)
        .zip(timings)
        .map(|((worker, output), timing)| {
            let loads = (worker.load_seconds(), worker.start_seconds());
            Run { info: worker.info().clone(), output, timing, loads }
        })
        .collect();
    let (torch_run, [original, converted]) = split(runs)?;
    if let (Some(run), Ok(torch)) = (&torch_run, torch) {
        let kept = Baseline::new(run.info.clone(), &run.output, &run.timing, run.loads);
        baseline::keep(&settings.places, &torch_key(&torch.versions), &kept)?;
    }
    let mut details = details(&bench, settings, source, &target, &fingerprint.sha256)?;
    let speed = speed_evidence(torch, torch_run.as_ref(), kept.is_some(), &converted);
    let torch_output = match (&torch_run, &kept) {
        (Some(run), _) => Some(run.output.clone()),
        (None, kept) => kept.as_ref().map(Baseline::output),
    };
    if let Some(output) = &torch_output {
        let check = judge::agreement(output, &original.output);
        warn_of_disagreement(&check, reporter);
        details.insert("implementation_check".to_owned(), check);
    }
    let torch_side = match (torch_run, kept) {
        (Some(run), _) => Some(run.side(&bench, folder_size(source)?)?),
        (None, Some(kept)) => Some(kept_side(kept, &bench, folder_size(source)?)?),
        (None, None) => None,
    };
    let original = original.side(&bench, folder_size(source)?)?;
    let converted = converted.side(&bench, folder_size(&target)?)?;
    let (torch_side, torch_answers) = torch_side.unzip();
    let base = torch_answers.as_ref().unwrap_or(&original.1);
    let drop = judge::drop(base, &converted.1, &references);
    let arithmetic = expected_words(model.recipe, source)?;
    let speedup = match &speed {
        SpeedEvidence::Measured { ratio, .. } => {
            let (low, high) = ratio.two_sided();
            details.insert("speedup_interval_95".to_owned(), json!([low, high]));
            Some(ratio.value())
        }
        _ => None,
    };
    let gates = [
        gate::accuracy(&drop, model.gates.max_accuracy_drop),
        gate::speed(&speed, model.gates.min_speedup),
        gate::size(
            converted.0.figures.size_mb,
            model.gates.target_size_mb,
            model.gates.size_rule,
            &arithmetic,
        ),
    ];
    Ok(Comparison {
        model: model.name.clone(),
        dataset: dataset.key.clone(),
        bits: model.recipe.affine.bits(),
        is_similarity: model.task == Task::Similarity,
        torch: torch_side,
        torch_missing: torch.as_ref().err().cloned(),
        native_original: original.0,
        converted: converted.0,
        speedup,
        references: references.first(),
        sample_size: data.rows.len(),
        gates,
        details,
        timestamp: now_unix(),
    })
}

fn local_file(dataset: &DatasetConfig, settings: &TestSettings) -> Result<FileSpec, PipelineError> {
    match &dataset.source {
        DatasetSource::Local(spec) => {
            let limits = [spec.max_samples, settings.max_samples];
            Ok(FileSpec { max_samples: limits.into_iter().flatten().min(), ..spec.clone() })
        }
        DatasetSource::HuggingFace(name) => Err(PipelineError::Config {
            file: dataset.place.file.clone(),
            line: Some(dataset.place.line),
            reason: format!(
                "data set `{}` is `{name}` on the Hub, which this version cannot fetch; give the \
                 file with `provider: local` and `path`",
                dataset.key
            ),
        }),
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

/// One engine's run.
struct Run {
    info: EngineInfo,
    output: Output,
    timing: Timing,
    loads: (f64, f64),
}

/// The runs by their places: PyTorch's if it ran, then the original and the converted.
fn split(mut runs: Vec<Run>) -> Result<(Option<Run>, [Run; 2]), PipelineError> {
    let lost = || PipelineError::Measure("an engine's run is missing".to_owned());
    let converted = runs.pop().ok_or_else(lost)?;
    let original = runs.pop().ok_or_else(lost)?;
    Ok((runs.pop(), [original, converted]))
}

impl Run {
    fn side(self, bench: &Bench, size: FolderSize) -> Result<(Side, Answers), PipelineError> {
        let loads = self.loads;
        let baseline = Baseline::new(self.info, &self.output, &self.timing, loads);
        side(baseline, bench, size, false)
    }
}

fn kept_side(
    kept: Baseline,
    bench: &Bench,
    size: FolderSize,
) -> Result<(Side, Answers), PipelineError> {
    side(kept, bench, size, true)
}

fn side(
    run: Baseline,
    bench: &Bench,
    size: FolderSize,
    cached: bool,
) -> Result<(Side, Answers), PipelineError> {
    let label_map = &bench.spec.label_map;
    let answers = Answers::of(&run.output(), &run.info, bench.task, bench.dataset, label_map)?;
    let (primary, pearson) = answers.figures(bench.references)?;
    let figures = SideFigures {
        primary: Some(primary),
        pearson,
        qpm: run.qpm,
        size_mb: size.bytes as f64 / f64::from(1 << 20),
        size_bytes: size.bytes,
        weights_bytes: size.weights,
        tokens_per_second: run.tokens_per_second,
        memory_mb: run.memory_mb,
        memory_split_mb: run.memory_split_mb,
        latencies_ms: run.latencies_ms,
        blocks_qpm: run.blocks_qpm,
        measured_seconds: run.measured_seconds,
        load_seconds: run.load_seconds,
        first_query_ms: run.first_query_ms,
        warmup_queries: run.warmup_queries,
        predictions: answers.first(),
        cached,
    };
    Ok((Side { info: run.info, figures }, answers))
}

/// Bytes of a model folder's files and of its weights.
#[derive(Clone, Copy)]
struct FolderSize {
    bytes: u64,
    weights: u64,
}

fn folder_size(dir: &Path) -> Result<FolderSize, PipelineError> {
    let weights = Checkpoint::open(dir)?.weight_files()?.iter().map(|(_, bytes)| bytes).sum();
    Ok(FolderSize { bytes: bytes_under(dir)?, weights })
}

fn bytes_under(dir: &Path) -> Result<u64, PipelineError> {
    let mut total = 0;
    for entry in std::fs::read_dir(dir).map_err(PipelineError::io(dir))? {
        let path = entry.map_err(PipelineError::io(dir))?.path();
        let metadata = std::fs::metadata(&path).map_err(PipelineError::io(&path))?;
        total += if metadata.is_dir() { bytes_under(&path)? } else { metadata.len() };
    }
    Ok(total)
}

fn speed_evidence(
    torch: &Torch,
    run: Option<&Run>,
    cached: bool,
    converted: &Run,
) -> SpeedEvidence {
    let Some(run) = run else {
        return match torch {
            Err(why) => SpeedEvidence::None(format!("no PyTorch to compare with: {why}")),
            Ok(_) if cached => SpeedEvidence::Cached,
            Ok(_) => SpeedEvidence::None("PyTorch did not run".to_owned()),
        };
    };
    let pairs = converted.timing.blocks.iter().zip(&run.timing.blocks);
    let ratios: Vec<f64> = pairs.map(|(converted, torch)| converted.qpm() / torch.qpm()).collect();
    let seconds = run.timing.seconds().min(converted.timing.seconds());
    match LogRatio::new(&ratios) {
        Some(ratio) => SpeedEvidence::Measured { ratio, seconds },
        None => SpeedEvidence::None("the blocks gave no ratios".to_owned()),
    }
}

fn expected_words(recipe: Recipe, source: &Path) -> Result<String, PipelineError> {
    let checkpoint = Checkpoint::open(source)?;
    let settings = mlxq_models::Config::new(checkpoint.config());
    let description = mlxq_models::describe(checkpoint.model_type(), settings)?;
    let purpose = checkpoint.purpose();
    let claims = description.layout.claim(&checkpoint, description.layers, purpose)?;
    let plan = recipe.plan(&claims, &checkpoint, purpose)?;
    let affine: Affine = recipe.affine;
    let mb = plan.tensor_bytes() as f64 / f64::from(1 << 20);
    Ok(format!(
        "{} bits in groups of {} take {mb:.2} MB ({}), and the tokenizer's files",
        affine.bits(),
        affine.group_size(),
        plan.arithmetic()
    ))
}

/// PyTorch and the native engine run the same checkpoint in f32: they must agree.
fn warn_of_disagreement(check: &Value, reporter: &dyn Reporter) {
    let cosine = check["smallest_cosine"].as_f64().unwrap_or(0.0);
    if cosine < 0.9999 {
        reporter.warning(&format!(
            "the native engine differs from PyTorch on the same checkpoint (smallest cosine {cosine:.6}): do not trust the verdict"
        ));
    }
}

fn details(
    bench: &Bench,
    settings: &TestSettings,
    source: &Path,
    target: &Path,
    fingerprint: &str,
) -> Result<Map<String, Value>, PipelineError> {
    let EncodedRows { rows_per_query, truncated, max_length, tokenizing, batch } = bench.rows;
    let tokenizing: Duration = tokenizing.iter().sum();
    let details = json!({
        "task": bench.task.name(),
        "primary_metric": bench.task.primary_metric(),
        "dataset": {
            "path": bench.spec.path,
            "sha256": mlxq_hub::hash_file(&bench.spec.path)?,
            "rows_in_file": bench.dataset.rows_in_file,
            "rows_used": bench.dataset.rows.len(),
            "row_ids": bench.dataset.rows.iter().map(|row| row.id).collect::<Vec<_>>(),
            "skipped": bench.dataset.skipped,
            "labels": bench.dataset.labels,
            "label_map": bench.spec.label_map,
        },
        "tokens": {
            "rows_per_query": rows_per_query,
            "total": batch.tokens(),
            "truncated_rows": truncated,
            "max_length": max_length,
            "tokenizing_seconds": tokenizing.as_secs_f64(),
            "tokenizing": "by mlxq, its time added to both sides: all engines get the same ids",
        },
        "protocol": {
            "scenario": "single-stream",
            "rounds": settings.rounds,
            "block_seconds": settings.block_seconds,
            "order": "forwards and backwards in turn",
            "bootstrap_resamples": judge::RESAMPLES,
            "seed": judge::SEED,
        },
        "original": {"path": source, "sha256": fingerprint},
        "converted": {"path": target, "sha256": mlxq_hub::fingerprint(target)?.sha256},
        "machine": machine(),
        "mlxq_version": env!("CARGO_PKG_VERSION"),
    });
    Ok(match details {
        Value::Object(map) => map,
        _ => Map::new(),
    })
}

/// What is known of the machine; absent where it cannot be read.
fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let cpu = read("/proc/cpuinfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':').map(|(_, name)| name.trim().to_owned())
    });
    let governor = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    json!({
        "os": std::env::consts::OS,
        "arch": std::env::consts::ARCH,
        "cpu": cpu,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "load_average": read("/proc/loadavg").map(|text| text.trim().to_owned()),
        "governor": governor.map(|text| text.trim().to_owned()),
    })
}
