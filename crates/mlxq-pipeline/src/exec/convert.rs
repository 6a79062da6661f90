//! Conversions: one folder, or the models of a configuration.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mlxq_checkpoint::recipe::{Format, Recipe};
use mlxq_checkpoint::{
    Checkpoint, CheckpointError, ConvertRequest, Converted, Progress, Purpose, already_converted,
    convert,
};
use mlxq_models::{Config as ModelSettings, Description};
use serde_json::{Map, Value, json};

use crate::config::{Config, ModelConfig};
use crate::paths::folder_name;
use crate::record::{now_local, write_json};
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
    /// Where records lie.
    pub places: Places,
    /// The Hub's cache on this machine.
    pub hub_cache: Option<PathBuf>,
}

/// How one folder is to be quantized, as the user writes it.
#[derive(Debug, Clone, Copy)]
pub struct FormatChoice<'a> {
    /// `affine`, `mxfp4`, `mxfp8` or `nvfp4`.
    pub mode: &'a str,
    /// Bits per weight; `None`: the mode's default.
    pub bits: Option<u32>,
    /// Weights per scale; `None`: the mode's default.
    pub group_size: Option<usize>,
    /// Format of everything that is not quantized; `None`: by the source.
    pub dtype: Option<&'a str>,
}

/// Converts the checkpoint `source` to the folder `target`; with `dry_run` only says what it would
/// write.
///
/// # Errors
/// When the choice is no format, the checkpoint is wrong, or the folder cannot be written.
pub fn convert_folder(
    source: &Path,
    target: &Path,
    choice: FormatChoice,
    dry_run: bool,
    reporter: &dyn Reporter,
) -> Result<(), PipelineError> {
    let FormatChoice { mode, bits, group_size, dtype } = choice;
    let format = Format::new(mode, bits, group_size).map_err(PipelineError::Usage)?;
    let float = dtype.map(crate::config::float).transpose().map_err(PipelineError::Usage)?;
    let job = Job {
        name: &folder_title(source),
        source,
        target,
        recipe: Recipe { format, float },
        hf_name: None,
        target_size_mb: None,
        replace: false,
    };
    if dry_run { job.describe(reporter) } else { job.convert(reporter).map(|_| ()) }
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
    let mut summary = Map::new();
    let mut class = ExitClass::Done;
    for model in selected(config, settings.model.as_deref())? {
        let outcome = convert_model(model, settings, reporter);
        if reporter.interrupted() {
            return Err(PipelineError::Interrupted);
        }
        let outcome = outcome.unwrap_or_else(|error| {
            reporter.warning(&format!("`{}` was not converted: {error}", model.name));
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
    output_dir.join(folder_name(&model.name, &model.recipe.format))
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
    if settings.skip_existing
        && let Some(metadata) = already_converted(&target)?
    {
        let at = target.display();
        reporter.message(&format!("Skipping {} - already converted at {at}", model.name));
        let record =
            json!({"success": true, "skipped": true, "metadata": metadata, "output_path": target});
        return Ok(record);
    }
    let source = mlxq_hub::resolve(&model.source, settings.hub_cache.as_deref())?;
    let job = Job {
        name: &model.name,
        source: &source,
        target: &target,
        recipe: model.recipe,
        hf_name: model.hf_name.as_deref(),
        target_size_mb: model.gates.target_size_mb,
        replace: !settings.skip_existing,
    };
    warn_of_size(model, &job, reporter)?;
    if settings.dry_run {
        job.describe(reporter)?;
        reporter.message("Dry-run enabled, skipping execution");
        return Ok(json!({"success": true, "dry_run": true, "command": job.command()}));
    }
    let converted = job.convert(reporter)?;
    if let Some(size) = model.gates.target_size_mb {
        let mb = converted.folder_bytes as f64 / f64::from(1 << 20);
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
    let checkpoint = Checkpoint::open(job.source)?;
    let request = job.request(&checkpoint)?;
    let expected = request.expected_bytes()? as f64 / f64::from(1 << 20);
    if !(0.9 * target..=1.1 * target).contains(&expected) {
        reporter.warning(&format!(
            "`{}` will take {expected:.1} MB, outside the target {target} MB ± 10 %: {}",
            model.name,
            request.plan()?.arithmetic()
        ));
    }
    Ok(())
}

/// Refuses, before anything is read or written, what could not be run afterwards: weights that are
/// missing or do not fit the configuration, labels without names.
fn check_model(checkpoint: &Checkpoint, description: Description) -> Result<(), PipelineError> {
    // What is quantized already is refused by the conversion, which says so.
    if checkpoint.quantization().is_some() {
        return Ok(());
    }
    let settings = ModelSettings::new(checkpoint.config());
    let purpose = checkpoint.purpose();
    let labels = match purpose {
        Purpose::SequenceClassification => Some(mlxq_models::labels::read(settings)?.len()),
        Purpose::Embedding => None,
    };
    let claims = description.layout.claim(checkpoint, description.layers, purpose)?;
    let weights = claims.weights(checkpoint);
    Ok(mlxq_models::check_shapes(checkpoint.model_type(), settings, labels, &weights)?)
}

/// One conversion.
struct Job<'a> {
    name: &'a str,
    source: &'a Path,
    target: &'a Path,
    recipe: Recipe,
    hf_name: Option<&'a str>,
    target_size_mb: Option<f64>,
    replace: bool,
}

impl Job<'_> {
    fn request<'r>(
        &'r self,
        checkpoint: &'r Checkpoint,
    ) -> Result<ConvertRequest<'r>, PipelineError> {
        let settings = ModelSettings::new(checkpoint.config());
        let description = mlxq_models::describe(checkpoint.model_type(), settings)?;
        check_model(checkpoint, description)?;
        Ok(ConvertRequest {
            checkpoint,
            layout: description.layout,
            layers: description.layers,
            target: self.target,
            recipe: self.recipe,
            replace: self.replace,
            base_model: self.hf_name,
            metadata: Map::new(),
        })
    }

    /// The conversion as a command for one folder.
    fn command(&self) -> String {
        format!(
            "mlxq convert --hf-path '{}' --mlx-path '{}' --q-mode {} --q-bits {} --q-group-size {}",
            self.source.display(),
            self.target.display(),
            self.recipe.format.mode(),
            self.recipe.format.bits(),
            self.recipe.format.group_size(),
        )
    }

    /// What `conversion_metadata.json` says beyond what the conversion finds out.
    fn metadata(&self) -> Result<Map<String, Value>, PipelineError> {
        let fingerprint = mlxq_hub::fingerprint(self.source)?;
        let bits = self.recipe.format.bits();
        let known = json!({
            "model_name": self.name,
            "hf_name": self.hf_name,
            "quantization": {
                "bits": bits,
                "dtype": format!("int{bits}"),
                "target_size_mb": self.target_size_mb,
            },
            "conversion_command": self.command(),
            "timestamp": now_local(),
            "mlx_version": Value::Null,
            "device": "cpu",
            "source_sha256": fingerprint.sha256,
            "source_files_sha256": fingerprint.files,
        });
        Ok(match known {
            Value::Object(map) => map,
            _ => Map::new(),
        })
    }

    fn describe(&self, reporter: &dyn Reporter) -> Result<(), PipelineError> {
        let checkpoint = Checkpoint::open(self.source)?;
        let request = self.request(&checkpoint)?;
        let plan = request.plan()?;
        reporter.message(&format!(
            "{} -> {}: {:.2} bits per weight, about {:.1} MB; {}",
            self.source.display(),
            self.target.display(),
            plan.bits_per_weight(),
            request.expected_bytes()? as f64 / f64::from(1 << 20),
            plan.arithmetic()
        ));
        for (name, reason) in plan.kept() {
            reporter.detail(&format!("  `{name}` stays in float: {reason}"));
        }
        Ok(())
    }

    fn convert(&self, reporter: &dyn Reporter) -> Result<Converted, PipelineError> {
        reporter.message(&format!("Starting conversion: {}", self.name));
        let checkpoint = Checkpoint::open(self.source)?;
        let mut show = |Progress { done, total }| {
            reporter.progress(&format!("converting {}", self.name), done, total);
            if reporter.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let request = ConvertRequest { metadata: self.metadata()?, ..self.request(&checkpoint)? };
        let converted = match convert(request, &mut show) {
            Err(CheckpointError::Interrupted) => return Err(PipelineError::Interrupted),
            converted => converted?,
        };
        if !converted.unknown.is_empty() {
            reporter.warning(&format!(
                "{} tensors are unknown to the model type and were left out: {}",
                converted.unknown.len(),
                converted.unknown.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        for (name, reason) in &converted.dropped {
            reporter.detail(&format!("  `{name}` was left out: {reason}"));
        }
        for (name, reason) in converted.plan.kept() {
            reporter.detail(&format!("  `{name}` stays in float: {reason}"));
        }
        reporter.message(&format!(
            "Conversion successful in {:.2} seconds: {} ({:.2} bits per weight, {:.2} MB)",
            converted.seconds,
            self.target.display(),
            converted.plan.bits_per_weight(),
            converted.folder_bytes as f64 / f64::from(1 << 20),
        ));
        Ok(converted)
    }
}
