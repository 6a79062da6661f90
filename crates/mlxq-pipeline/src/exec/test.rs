//! Tests: every selected model on every selected data set, measured, judged and recorded.

use std::path::PathBuf;
use std::time::Instant;

use mlxq_checkpoint::already_converted;
use mlxq_engine::native::Activations;
use mlxq_engine::torch;
use mlxq_eval::gate::Verdict;
use serde_json::{Map, Value, json};

use super::cell::{Inputs, Torch, test_cell};
use super::convert::{ConvertSettings, convert_model, selected, target_of};
use super::measure::Scenario;
use super::resume;
use crate::config::{Config, DatasetConfig, ModelConfig};
use crate::paths::cell_id;
use crate::record::{CellReport, Event, Kept, Recorder, RunSettings, write_json};
use crate::report::{summary, table};
use crate::{ExitClass, Logged, PipelineError, Places, Reporter};

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
    /// What the quantized layers of converted models compute with.
    pub activations: Activations,
    /// At most that many rows of each data set.
    pub max_samples: Option<usize>,
    /// The seed that these are drawn with, in place of each data set's own.
    pub seed: Option<u64>,
    /// How queries come to the engines.
    pub scenario: Scenario,
    /// Rounds of timed blocks, at least 5.
    pub rounds: usize,
    /// Seconds that a block of the fastest engine lasts at least.
    pub block_seconds: f64,
    /// Use PyTorch's kept predictions and times where nothing has changed.
    pub reuse_baseline: bool,
    /// Hold each converted model against itself, in place of the original.
    pub against_itself: bool,
    /// Measure again what is measured already.
    pub fresh: bool,
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
    if !settings.scenario.is_possible() {
        let reason = "a batch has at least one query, and a rate is above 0";
        return Err(PipelineError::Usage(reason.to_owned()));
    }
    let cells = cells(config, settings)?;
    if settings.dry_run {
        return dry_run(&cells, settings, reporter);
    }
    let reporter: &dyn Reporter =
        &Logged::open(reporter, &settings.places.log("testing_8bit"), "MLX8BitTester")?;
    let torch = find_torch(settings, reporter);
    let ids: Vec<String> = cells.iter().flat_map(|cell| cell.ids(settings)).collect();
    let recorder = Recorder::begin(&settings.places, run_settings(settings, &torch), &ids)?;
    let program = mlxq_hub::hash_file(&settings.program)?;
    let mut run = Run { settings, reporter, torch, program, recorder, show };
    let done = run.all(&cells);
    let class = done.as_ref().map_or_else(PipelineError::exit_class, |class| *class);
    run.end(class)?;
    done
}

/// What a run carries from cell to cell.
struct Run<'r> {
    settings: &'r TestSettings,
    reporter: &'r dyn Reporter,
    torch: Torch,
    /// Hash of this program's file.
    program: String,
    recorder: Recorder,
    show: &'r mut dyn FnMut(&str),
}

impl Run<'_> {
    /// Measures all cells; the exit class of all.
    fn all(&mut self, cells: &[Cell]) -> Result<ExitClass, PipelineError> {
        let mut class = ExitClass::Done;
        let mut summary: Map<String, Value> = Map::new();
        let places = &self.settings.places;
        for Cell { model, datasets } in cells {
            let mut results = Map::new();
            for dataset in datasets {
                let (result, cell_class) = self.cell(model, dataset)?;
                class = class.and(cell_class);
                results.insert(dataset.key.clone(), result);
            }
            if self.settings.against_itself {
                continue; // The original pipeline's files of results are about originals.
            }
            let bits = model.recipe.format.bits();
            let one = json!({model.name.clone(): results.clone()});
            write_json(&places.test_results(&model.name, bits), &one)?;
            summary.insert(model.name.clone(), Value::Object(results));
            write_json(&places.test_summary(bits), &Value::Object(summary.clone()))?;
        }
        Ok(class)
    }

    /// One cell: its content for the original pipeline's files, and how it ended.
    fn cell(
        &mut self,
        model: &ModelConfig,
        dataset: &DatasetConfig,
    ) -> Result<(Value, ExitClass), PipelineError> {
        let id = id_of(model, dataset, self.settings);
        let outcome = self.measured(&id, model, dataset);
        if self.reporter.interrupted() {
            return Err(PipelineError::Interrupted);
        }
        match outcome {
            Ok(kept) => self.finish(kept),
            Err(error) => {
                self.reporter.warning(&format!("{} on {}: {error}", model.name, dataset.key));
                self.recorder.failed(&id, [&model.name, &dataset.key], &error)?;
                let record = json!({"error": error.to_string(), "failed": true});
                Ok((record, error.exit_class()))
            }
        }
    }

    /// The cell as an earlier run has measured it, or measured now and kept.
    fn measured(
        &mut self,
        id: &str,
        model: &ModelConfig,
        dataset: &DatasetConfig,
    ) -> Result<Kept, PipelineError> {
        let (settings, reporter) = (self.settings, self.reporter);
        let source = prepare(model, settings, reporter)?;
        reporter.message(&format!("Testing {} on {}", model.name, dataset.key));
        let inputs = Inputs::read(model, dataset, source, settings, reporter)?;
        let key = resume::key(id, &inputs, &self.program, &self.torch, settings)?;
        let found = (!settings.fresh).then(|| Kept::find(&settings.places, &key)).flatten();
        if let Some(kept) = found {
            let CellReport { measured, measured_by, provenance, .. } = &kept.cell;
            let valid = provenance.timing_checks.valid;
            let times = if valid { "" } else { ", when its times were not valid" };
            reporter.message(&format!(
                "{} on {}: already measured at {measured}{times}; --fresh measures again",
                model.name, dataset.key
            ));
            let event = Event::CellAlreadyMeasured { cell: id, key: &key, measured, measured_by };
            self.recorder.event(&event)?;
            return Ok(kept);
        }
        self.recorder.event(&Event::CellStarted { cell: id })?;
        let begun = Instant::now();
        let comparison = test_cell(&inputs, &self.torch, settings, reporter)?;
        let cell = comparison.report(model, id, &key, self.recorder.id())?;
        let kept = Kept::new(cell, comparison);
        kept.keep(&settings.places)?;
        let seconds = begun.elapsed().as_secs_f64();
        self.recorder.event(&Event::CellFinished { cell: id, key: &key, seconds })?;
        Ok(kept)
    }

    /// Writes a cell's records and shows its table.
    fn finish(&mut self, kept: Kept) -> Result<(Value, ExitClass), PipelineError> {
        let original = kept.original();
        let Kept { cell, samples, .. } = kept;
        let path = self.settings.places.comparison(&cell.id);
        write_json(&path, &original)?;
        let verdict = Verdict::from(cell.verdict);
        let words = match verdict {
            Verdict::Pass => "All quality gates passed".to_owned(),
            Verdict::Fail => "Quality gates failed".to_owned(),
            other => format!("Quality gates {}", other.words()),
        };
        let (model, dataset, compares) = (&cell.model, &cell.dataset_key, &cell.verdict_compares);
        self.reporter.message(&format!("{words} for {model} on {dataset} ({compares})"));
        self.reporter.message(&format!("record: {}", path.display()));
        (self.show)(&table(&cell));
        let event = Event::Verdict { cell: &cell.id, verdict: cell.verdict, gates: &cell.gates };
        self.recorder.event(&event)?;
        self.recorder.finished(cell, samples)?;
        Ok((original, exit_class(verdict, self.settings.strict)))
    }

    /// The end of the run, come what may: the report's last lines, and the table of all cells.
    fn end(&mut self, class: ExitClass) -> Result<(), PipelineError> {
        self.recorder.end(class)?;
        let report = self.recorder.report();
        if report.cells.len() + report.failures.len() > 1 {
            (self.show)(&summary(report));
        }
        self.reporter.message(&format!("records: {}", self.settings.places.root().display()));
        self.reporter.message(&format!("report: {}", self.recorder.path().display()));
        Ok(())
    }
}

/// How a verdict ends a run.
pub(super) fn exit_class(verdict: Verdict, strict: bool) -> ExitClass {
    match verdict {
        Verdict::Pass | Verdict::NotSet => ExitClass::Done,
        Verdict::Fail => ExitClass::GateFailed,
        Verdict::Inconclusive | Verdict::NotMeasured if strict => ExitClass::GateFailed,
        Verdict::Inconclusive | Verdict::NotMeasured => ExitClass::Inconclusive,
    }
}

fn id_of(model: &ModelConfig, dataset: &DatasetConfig, settings: &TestSettings) -> String {
    let id = cell_id(&model.name, model.recipe.format.bits(), &dataset.key);
    if settings.against_itself { id + "_itself" } else { id }
}

fn run_settings(settings: &TestSettings, torch: &Torch) -> RunSettings {
    RunSettings {
        model: settings.model.clone(),
        dataset: settings.dataset.clone(),
        output_dir: settings.output_dir.clone(),
        torch: torch.as_ref().ok().map(|torch| torch.versions.clone()),
        torch_missing: torch.as_ref().err().cloned(),
        threads: settings.threads,
        activations: settings.activations.to_string(),
        max_samples: settings.max_samples,
        seed: settings.seed,
        scenario: settings.scenario.words(),
        rounds: settings.rounds,
        block_seconds: settings.block_seconds,
        reuse_baseline: settings.reuse_baseline,
        against_itself: settings.against_itself,
        fresh: settings.fresh,
        strict: settings.strict,
    }
}

/// A model and the data sets it is tested on.
struct Cell<'c> {
    model: &'c ModelConfig,
    datasets: Vec<&'c DatasetConfig>,
}

impl Cell<'_> {
    fn ids(&self, settings: &TestSettings) -> Vec<String> {
        self.datasets.iter().map(|dataset| id_of(self.model, dataset, settings)).collect()
    }
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
            let against = if settings.against_itself { ", against itself" } else { "" };
            reporter.message(&format!("would test {} on {}{against}", model.name, dataset.key));
        }
    }
    Ok(ExitClass::Done)
}

fn convert_settings(settings: &TestSettings, dry_run: bool) -> ConvertSettings {
    ConvertSettings {
        jobs: 1,
        output_dir: settings.output_dir.clone(),
        model: None,
        dry_run,
        skip_existing: true,
        places: settings.places.clone(),
        hub_cache: settings.hub_cache.clone(),
    }
}

/// PyTorch, unless it is switched off; says what was found.
pub(super) fn find_torch(settings: &TestSettings, reporter: &dyn Reporter) -> Torch {
    if settings.against_itself {
        return Err("the converted model is held against itself".to_owned());
    }
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
pub(super) fn prepare(
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
    Ok(mlxq_hub::resolve(&model.source, None, settings.hub_cache.as_deref())?)
}
