//! Conversions: one folder, or the models of a configuration.

mod job;

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mlxq_checkpoint::{CheckpointError, SHARD_BYTES, Task};
use serde_json::{Map, Value, json};

use job::{Existing, Job, megabytes};

use crate::config::{Choice, Config, ModelConfig};
use crate::paths::folder_name;
use crate::record::write_json;
use crate::{ExitClass, Logged, PipelineError, Places, Reporter};

/// What the user asks of a conversion.
#[derive(Debug, Clone)]
pub struct ConvertSettings {
    /// Where converted models lie.
    pub output_dir: PathBuf,
    /// Only the model of that name.
    pub model: Option<String>,
    /// Say what would be done, and stop.
    pub dry_run: bool,
    /// Leave converted models alone.
    pub skip_existing: bool,
    /// How many models are converted at once.
    pub jobs: usize,
    /// Where records lie.
    pub places: Places,
    /// The Hub's cache on this machine.
    pub hub_cache: Option<PathBuf>,
}

/// A checkpoint that the user named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundSource {
    /// Its folder.
    pub folder: PathBuf,
    /// Its name on the Hub, if it was found by that.
    pub hf_name: Option<String>,
}

/// The checkpoint called `name`: a folder, or a name in the Hub's `cache` at `revision`.
///
/// # Errors
/// When there is no such folder, or the name or revision is not in the cache.
pub fn find_source(
    name: &Path,
    revision: Option<&str>,
    cache: Option<&Path>,
) -> Result<FoundSource, PipelineError> {
    let source = mlxq_hub::source(name);
    let folder = mlxq_hub::resolve(&source, revision, cache)?;
    let hf_name = match source {
        mlxq_hub::Source::Hub(name) => Some(name),
        mlxq_hub::Source::Folder(_) if revision.is_some() => {
            let reason =
                format!("--revision needs a name on the Hub; `{}` is a folder", name.display());
            return Err(PipelineError::Usage(reason));
        }
        mlxq_hub::Source::Folder(_) => None,
    };
    Ok(FoundSource { folder, hf_name })
}

/// What is done with one folder.
#[derive(Debug, Clone)]
pub struct FolderSettings<'a> {
    /// The folder to write.
    pub target: &'a Path,
    /// Its name on the Hub, for the card.
    pub hf_name: Option<&'a str>,
    /// Say what would be done, and stop.
    pub dry_run: bool,
    /// Leave an equal conversion alone; otherwise an earlier one is replaced.
    pub skip_existing: bool,
}

/// Converts the checkpoint `source` to a folder.
///
/// # Errors
/// When the choice is no format, the checkpoint is wrong, or the folder cannot be written.
pub fn convert_folder(
    source: &Path,
    choice: &Choice,
    settings: &FolderSettings,
    reporter: &dyn Reporter,
) -> Result<(), PipelineError> {
    let job = Job {
        name: &folder_title(source),
        source,
        target: settings.target,
        task: choice.task().map_err(PipelineError::Usage)?,
        allow_non_finite: choice.allow_non_finite,
        max_shard_bytes: choice.shard_bytes(),
        hf_name: settings.hf_name,
        target_size_mb: None,
        replace: !settings.skip_existing,
    };
    if settings.skip_existing {
        match job.existing()? {
            Existing::Nothing => {}
            Existing::Same(_) => {
                reporter.message(&already(&job));
                return Ok(());
            }
            Existing::Different(reason) => {
                let reason = format!("holds another conversion: {reason}; --no-skip replaces it");
                let path = settings.target.to_owned();
                return Err(CheckpointError::Output { path, reason }.into());
            }
        }
    }
    if settings.dry_run { job.describe(reporter) } else { job.convert(reporter).map(|_| ()) }
}

fn already(job: &Job) -> String {
    format!("Skipping {} - already converted at {}", job.name, job.target.display())
}

/// The last part of a folder's path, as a model's name.
fn folder_title(folder: &Path) -> String {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    real.file_name().unwrap_or(real.as_os_str()).to_string_lossy().into_owned()
}

/// Converts the models of `config`; one failure does not stop the others.
///
/// # Errors
/// When no model is selected, or the records cannot be written.
pub fn convert_models(
    config: &Config,
    settings: &ConvertSettings,
    reporter: &dyn Reporter,
) -> Result<ExitClass, PipelineError> {
    let log = settings.places.log("conversion_summary");
    let reporter = &Logged::open(reporter, &log, "MLXConverter")?;
    let models = selected(config, settings.model.as_deref())?;
    let outcomes = side_by_side(&models, settings, reporter);
    if reporter.interrupted() {
        return Err(PipelineError::Interrupted);
    }
    let (mut summary, mut class) = (Map::new(), ExitClass::Done);
    for (model, outcome) in models.iter().zip(outcomes) {
        let outcome = outcome.unwrap_or_else(|error| {
            class = class.and(error.exit_class());
            json!({"success": false, "error": error.to_string()})
        });
        write_json(&settings.places.conversion(&model.name), &outcome)?;
        summary.insert(model.name.clone(), outcome);
    }
    let good = summary.values().filter(|outcome| outcome["success"] == json!(true)).count();
    write_json(&settings.places.conversion_summary(), &Value::Object(summary.clone()))?;
    reporter.message(&format!(
        "CONVERSION SUMMARY\n  Successful: {good} models\n  Failed: {} models",
        summary.len() - good
    ));
    Ok(class)
}

/// Converts the models, `settings.jobs` at once, and says which failed. All share the threads of one
/// pool, so the memory that they need does not grow with their number.
fn side_by_side(
    models: &[&ModelConfig],
    settings: &ConvertSettings,
    reporter: &dyn Reporter,
) -> Vec<Result<Value, PipelineError>> {
    let next = AtomicUsize::new(0);
    let outcomes: Mutex<Vec<(usize, Result<Value, PipelineError>)>> = Mutex::default();
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(model) = models.get(place).filter(|_| !reporter.interrupted()) else { break };
            let outcome = convert_model(model, settings, reporter);
            if let Err(error) = &outcome
                && !reporter.interrupted()
            {
                reporter.warning(&format!("`{}` was not converted: {error}", model.name));
            }
            if let Ok(mut outcomes) = outcomes.lock() {
                outcomes.push((place, outcome));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..settings.jobs.min(models.len()) {
            scope.spawn(work);
        }
        work();
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_default();
    outcomes.sort_by_key(|(place, _)| *place);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// The models of `config`, or the one of that name.
///
/// # Errors
/// When there is none.
pub(crate) fn selected<'c>(
    config: &'c Config,
    name: Option<&str>,
) -> Result<Vec<&'c ModelConfig>, PipelineError> {
    let wanted = |model: &&ModelConfig| name.is_none_or(|name| model.name == name);
    let models: Vec<_> = config.models.iter().filter(wanted).collect();
    if !models.is_empty() {
        return Ok(models);
    }
    let known: Vec<_> = config.models.iter().map(|model| model.name.as_str()).collect();
    Err(PipelineError::Usage(match name {
        Some(name) => {
            format!("Model '{name}' not found in config; there are: {}", known.join(", "))
        }
        None => "the configuration names no models".to_owned(),
    }))
}

/// The folder of the converted model.
pub(crate) fn target_of(model: &ModelConfig, output_dir: &Path) -> PathBuf {
    output_dir.join(folder_name(&model.name, &model.recipe))
}

/// Converts one model and returns its record.
///
/// # Errors
/// When it cannot be converted.
pub(crate) fn convert_model(
    model: &ModelConfig,
    settings: &ConvertSettings,
    reporter: &dyn Reporter,
) -> Result<Value, PipelineError> {
    let log = match settings.dry_run {
        true => None,
        false => {
            let log = settings.places.conversion_log(&model.name);
            Some(Logged::open(reporter, &log, &format!("MLXConverter_{}", model.name))?)
        }
    };
    let reporter = log.as_ref().map_or(reporter, |log| log as &dyn Reporter);
    let target = target_of(model, &settings.output_dir);
    let source = mlxq_hub::resolve(&model.source, None, settings.hub_cache.as_deref())?;
    let mut job = Job {
        name: &model.name,
        source: &source,
        target: &target,
        task: Task::Quantize(model.recipe.clone()),
        allow_non_finite: false,
        max_shard_bytes: SHARD_BYTES,
        hf_name: model.hf_name.as_deref(),
        target_size_mb: model.gates.target_size_mb,
        replace: !settings.skip_existing,
    };
    if settings.skip_existing {
        match job.existing()? {
            Existing::Nothing => {}
            Existing::Same(metadata) => {
                reporter.message(&already(&job));
                return Ok(json!({
                    "success": true, "skipped": true, "metadata": metadata, "output_path": target,
                }));
            }
            Existing::Different(reason) => {
                reporter.message(&format!("Converting {} again: {reason}", model.name));
                job.replace = true;
            }
        }
    }
    warn_of_size(model, &job, reporter)?;
    if settings.dry_run {
        job.describe(reporter)?;
        reporter.message("Dry-run enabled, skipping execution");
        return Ok(json!({"success": true, "dry_run": true, "command": job.command()}));
    }
    let converted = job.convert(reporter)?;
    if let Some(size) = model.gates.target_size_mb {
        let mb = megabytes(converted.folder_bytes);
        reporter.message(&format!("Model size: {mb:.2}MB (target: {size}MB)"));
    }
    Ok(json!({"success": true, "metadata": converted.metadata, "output_path": target}))
}

/// Says before anything is converted that the target cannot be met, with the arithmetic.
fn warn_of_size(
    model: &ModelConfig,
    job: &Job,
    reporter: &dyn Reporter,
) -> Result<(), PipelineError> {
    let Some(target) = model.gates.target_size_mb else { return Ok(()) };
    let prospect = job.prospect()?;
    let expected = megabytes(prospect.folder_bytes);
    if !(0.9 * target..=1.1 * target).contains(&expected) {
        reporter.warning(&format!(
            "`{}` will take {expected:.1} MB, outside the target {target} MB ± 10 %: {}",
            model.name,
            prospect.plan.arithmetic()
        ));
    }
    Ok(())
}
