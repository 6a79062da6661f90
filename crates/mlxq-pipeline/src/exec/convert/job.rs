//! One conversion: from a checked request to a folder, or to the words that say what it would be.

use std::ops::ControlFlow;
use std::path::Path;

use mlxq_checkpoint::layout::ASSUMED_TIED;
use mlxq_checkpoint::{
    Checkpoint, CheckpointError, ConvertRequest, Converted, Progress, Prospect, Purpose,
    SHARD_BYTES, Task, already_converted, convert, recover, source_stamp,
};
use mlxq_models::{Config as ModelSettings, KNOWN_TYPES};
use serde_json::{Map, Value, json};

use crate::record::now_local;
use crate::{PipelineError, Reporter, Unit, Work};

/// Bytes as megabytes of 2^20.
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// One conversion.
pub(super) struct Job<'a> {
    pub(super) name: &'a str,
    pub(super) source: &'a Path,
    pub(super) target: &'a Path,
    pub(super) task: Task,
    pub(super) allow_non_finite: bool,
    pub(super) max_shard_bytes: u64,
    pub(super) hf_name: Option<&'a str>,
    pub(super) target_size_mb: Option<f64>,
    pub(super) replace: bool,
}

/// What stands at a job's target.
pub(super) enum Existing {
    /// Nothing.
    Nothing,
    /// What the job would write.
    Same(Map<String, Value>),
    /// Another conversion, and in what it differs.
    Different(String),
}

impl Job<'_> {
    /// The request, after a look at everything that could be wrong with the model.
    fn request<'r>(
        &'r self,
        checkpoint: &'r Checkpoint,
    ) -> Result<ConvertRequest<'r>, PipelineError> {
        let layout = mlxq_models::layout(checkpoint.model_type());
        if matches!(self.task, Task::Quantize(_)) && KNOWN_TYPES.contains(&checkpoint.model_type())
        {
            check_model(checkpoint)?;
        }
        Ok(ConvertRequest {
            allow_non_finite: self.allow_non_finite,
            max_shard_bytes: self.max_shard_bytes,
            replace: self.replace,
            base_model: self.hf_name,
            ..ConvertRequest::new(checkpoint, layout, self.target, self.task.clone())
        })
    }

    /// What the conversion will write.
    pub(super) fn prospect(&self) -> Result<Prospect, PipelineError> {
        let checkpoint = Checkpoint::open(self.source)?;
        Ok(self.request(&checkpoint)?.prospect()?)
    }

    /// What stands at the target, recognised by settings and by the source's content, once what a
    /// killed process left there half done is ended.
    pub(super) fn existing(&self) -> Result<Existing, PipelineError> {
        recover(self.target)?;
        let Some(found) = already_converted(self.target)? else { return Ok(Existing::Nothing) };
        let checkpoint = Checkpoint::open(self.source)?;
        let request = self.request(&checkpoint)?;
        let settings = request.settings();
        if found.get("settings") != Some(&settings) {
            return Ok(Existing::Different(differences(found.get("settings"), &settings)));
        }
        let same = found.get("source_stamp") == Some(&source_stamp(&checkpoint)?)
            || found.get("source_blake3")
                == Some(&mlxq_hub::fingerprint(self.source)?.blake3.into());
        Ok(match same {
            true => Existing::Same(found),
            false => Existing::Different("its source was another".to_owned()),
        })
    }

    /// The conversion as a command for one folder.
    pub(super) fn command(&self) -> String {
        let mut words = vec!["mlxq".to_owned(), "convert".to_owned()];
        let mut option = |name: &str, value: String| {
            words.push(format!("--{name}"));
            words.push(quoted(&value));
        };
        option("hf-path", self.source.display().to_string());
        option("mlx-path", self.target.display().to_string());
        let float = match &self.task {
            Task::Dequantize { float } => *float,
            Task::Quantize(recipe) => {
                option("q-mode", recipe.format.mode().to_owned());
                option("q-bits", recipe.format.bits().to_string());
                option("q-group-size", recipe.format.group_size().to_string());
                if let Some(mixed) = recipe.mixed {
                    option("quant-predicate", mixed.to_string());
                }
                for own in &recipe.overrides {
                    option("q-override", own.text().to_owned());
                }
                recipe.float
            }
        };
        if let Some(float) = float {
            option("dtype", float.name().to_owned());
        }
        if self.max_shard_bytes != SHARD_BYTES {
            option("max-shard-size", self.max_shard_bytes.to_string());
        }
        if self.allow_non_finite {
            words.push("--allow-non-finite".to_owned());
        }
        if matches!(self.task, Task::Dequantize { .. }) {
            words.push("--dequantize".to_owned());
        }
        words.join(" ")
    }

    /// What `conversion_metadata.json` says beyond what the conversion finds out.
    fn metadata(&self) -> Map<String, Value> {
        let bits = match &self.task {
            Task::Quantize(recipe) => Some(recipe.format.bits()),
            Task::Dequantize { .. } => None,
        };
        let source = std::path::absolute(self.source).unwrap_or_else(|_| self.source.to_owned());
        object(json!({
            "model_name": self.name,
            "hf_name": self.hf_name,
            "source_path": source.to_string_lossy(),
            "quantization": {
                "bits": bits,
                "dtype": bits.map(|bits| format!("int{bits}")),
                "target_size_mb": self.target_size_mb,
            },
            "conversion_command": self.command(),
            "timestamp": now_local(),
            "mlx_version": Value::Null,
            "device": "cpu",
        }))
    }

    /// Says what would be written.
    pub(super) fn describe(&self, reporter: &dyn Reporter) -> Result<(), PipelineError> {
        let prospect = self.prospect()?;
        reporter.message(&format!(
            "{} -> {}: {:.2} bits per weight, about {:.1} MB; {}",
            self.source.display(),
            self.target.display(),
            prospect.plan.bits_per_weight(),
            megabytes(prospect.folder_bytes),
            prospect.plan.arithmetic()
        ));
        self.warn(&prospect.unknown, &prospect.dropped, reporter)?;
        detail(&prospect.plan, &prospect.dropped, reporter);
        Ok(())
    }

    /// Converts.
    pub(super) fn convert(&self, reporter: &dyn Reporter) -> Result<Converted, PipelineError> {
        reporter.message(&format!("Starting conversion: {}", self.name));
        let checkpoint = Checkpoint::open(self.source)?;
        let work = Work::new(reporter, format!("converting {}", self.name), Unit::Bytes);
        let mut show = |Progress { done, total }| {
            work.show(done, total);
            if reporter.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let identity = || {
            let found = mlxq_hub::fingerprint(self.source).map_err(std::io::Error::other)?;
            let files = json!(found.files);
            Ok(object(json!({"source_blake3": found.blake3, "source_files_blake3": files})))
        };
        let request = ConvertRequest {
            metadata: self.metadata(),
            identity: Some(&identity),
            ..self.request(&checkpoint)?
        };
        let converted = match convert(request, &mut show) {
            Err(CheckpointError::Interrupted) => return Err(PipelineError::Interrupted),
            converted => converted?,
        };
        drop(work);
        self.warn(&converted.unknown, &converted.dropped, reporter)?;
        if !converted.non_finite.is_empty() {
            let names: Vec<_> = converted.non_finite.iter().take(5).cloned().collect();
            reporter.warning(&format!(
                "`{}`: {} tensors hold numbers that are not finite and were converted as MLX does: {}",
                self.name,
                converted.non_finite.len(),
                names.join(", ")
            ));
        }
        detail(&converted.plan, &converted.dropped, reporter);
        reporter.message(&format!(
            "Conversion successful in {:.2} seconds: {} ({:.2} bits per weight, {:.2} MB)",
            converted.seconds,
            self.target.display(),
            converted.plan.bits_per_weight(),
            megabytes(converted.folder_bytes),
        ));
        Ok(converted)
    }

    /// Says what was decided without the knowledge of a layout, and what was left out.
    fn warn(
        &self,
        unknown: &[String],
        dropped: &[(String, &'static str)],
        reporter: &dyn Reporter,
    ) -> Result<(), PipelineError> {
        let checkpoint = Checkpoint::open(self.source)?;
        for note in checkpoint.notes() {
            reporter.warning(&format!("`{}`: {note}", self.name));
        }
        if mlxq_models::layout(checkpoint.model_type()).is_none() {
            reporter.warning(&format!(
                "`{}`: model type `{}` has no layout of its own; names stay as they are, and every \
                 matrix called `.weight` was quantized where its last dimension divides. Whether a \
                 client loads that, only a try tells; `mlxq inspect` lists the tensors",
                self.name,
                checkpoint.model_type()
            ));
        }
        for (name, reason) in dropped.iter().filter(|(_, reason)| *reason == ASSUMED_TIED) {
            reporter.warning(&format!("`{}`: `{name}` was left out: {reason}", self.name));
        }
        if !unknown.is_empty() {
            reporter.warning(&format!(
                "`{}`: {} tensors are unknown to the model type and were left out: {}",
                self.name,
                unknown.len(),
                unknown.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
            ));
        }
        Ok(())
    }
}

/// What is left out and what stays in float.
fn detail(
    plan: &mlxq_checkpoint::recipe::ConversionPlan,
    dropped: &[(String, &'static str)],
    reporter: &dyn Reporter,
) {
    for (name, reason) in dropped {
        reporter.detail(&format!("  `{name}` was left out: {reason}"));
    }
    for (name, reason) in plan.kept() {
        reporter.detail(&format!("  `{name}` stays in float: {reason}"));
    }
}

/// In what the settings of an earlier conversion differ from today's.
fn differences(earlier: Option<&Value>, today: &Value) -> String {
    let earlier = earlier.map(leaves).unwrap_or_default();
    let differ = |(key, value): &(String, Value)| {
        let other = earlier.iter().find(|(other, _)| other == key).map(|(_, value)| value);
        (other != Some(value)).then(|| {
            let other = other.map_or("nothing".to_owned(), Value::to_string);
            format!("`{key}` was {other}, now {value}")
        })
    };
    let differences: Vec<_> = leaves(today).iter().filter_map(differ).collect();
    if differences.is_empty() {
        "its settings were others".to_owned()
    } else {
        differences.join(", ")
    }
}

/// The innermost keys of an object with their values.
fn leaves(value: &Value) -> Vec<(String, Value)> {
    let Some(map) = value.as_object() else { return Vec::new() };
    let leaf = |(key, value): (&String, &Value)| match value {
        Value::Object(_) => leaves(value),
        value => vec![(key.clone(), value.clone())],
    };
    map.iter().flat_map(leaf).collect()
}

/// A word of a command line, quoted where a shell would read it otherwise.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Refuses, before anything is read or written, what could not be run afterwards: weights that are
/// missing or do not fit the configuration, labels without names.
fn check_model(checkpoint: &Checkpoint) -> Result<(), PipelineError> {
    // What is quantized already is refused by the conversion, which says so.
    if checkpoint.quantization().is_some() {
        return Ok(());
    }
    let settings = ModelSettings::new(checkpoint.config());
    let description = mlxq_models::describe(checkpoint.model_type(), settings)?;
    let labels = match checkpoint.purpose() {
        Purpose::SequenceClassification => {
            Some(mlxq_models::labels::read(settings, description.default_labels)?.len())
        }
        Purpose::Embedding => None,
    };
    let arrangement = description.layout.arrange_folder(checkpoint)?;
    let weights = arrangement.weights(checkpoint);
    Ok(mlxq_models::check_shapes(checkpoint.model_type(), settings, labels, &weights)?)
}
