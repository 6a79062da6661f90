//! Tests: every selected model on every selected data set, measured, judged and recorded.

use std::path::PathBuf;

use mlxq_checkpoint::already_converted;
use mlxq_engine::native::Activations;
use mlxq_engine::torch;
use mlxq_eval::gate::Verdict;
use serde_json::{Map, Value, json};

use super::cell::{Torch, test_cell};
use super::convert::{ConvertSettings, convert_model, selected, target_of};
use crate::config::{Config, DatasetConfig, ModelConfig};
use crate::record::{Comparison, write_json};
use crate::report::table;
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
                .and_then(|source| test_cell(model, dataset, source, &torch, settings, reporter));
            if reporter.interrupted() {
                return Err(PipelineError::Interrupted);
            }
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
        let bits = model.recipe.format.bits();
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
        jobs: 1,
        output_dir: settings.output_dir.clone(),
        model: None,
        dry_run,
        skip_existing: true,
        places: settings.places.clone(),
        hub_cache: settings.hub_cache.clone(),
    }
}

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
    Ok(mlxq_hub::resolve(&model.source, None, settings.hub_cache.as_deref())?)
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
        Verdict::Pass => "All quality gates passed".to_owned(),
        Verdict::Fail => "Quality gates failed".to_owned(),
        other => format!("Quality gates {}", other.words()),
    };
    let compares = comparison.compares();
    reporter.message(&format!("{words} for {model} on {dataset} ({compares})"));
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
