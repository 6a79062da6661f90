//! The converter: one tensor at a time from a checkpoint to an MLX folder.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};

use crate::layout::Layout;
use crate::recipe::{ConversionPlan, PlannedTensor, Recipe};
use crate::stream::{Watch, write_tensors};
use crate::write::{
    SideFile, SingleFile, StagedFolder, converted_config, copied_files, index, model_card, pretty,
    shards,
};
use crate::{Checkpoint, CheckpointError, json};

/// What is to be converted, and how.
pub struct ConvertRequest<'a> {
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// Its model type's layout.
    pub layout: &'a Layout,
    /// Its number of layers.
    pub layers: usize,
    /// The folder to write.
    pub target: &'a Path,
    /// Bits, group size and dtype.
    pub recipe: Recipe,
    /// Whether an earlier conversion at `target` is replaced.
    pub replace: bool,
    /// The model's name on the Hub, for the card.
    pub base_model: Option<&'a str>,
    /// What the caller knows, written into `conversion_metadata.json`.
    pub metadata: Map<String, Value>,
}

/// How far a conversion is, in bytes of source tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The plan that was followed.
    pub plan: ConversionPlan,
    /// Tensors left out: name and reason.
    pub dropped: Vec<(String, &'static str)>,
    /// Tensors that the model type does not know, left out.
    pub unknown: Vec<String>,
    /// Bytes of the weight files.
    pub weights_bytes: u64,
    /// Bytes of all files of the folder but its metadata.
    pub folder_bytes: u64,
    /// Seconds from the request to the finished folder.
    pub seconds: f64,
    /// The object of `conversion_metadata.json`.
    pub metadata: Map<String, Value>,
}

impl ConvertRequest<'_> {
    /// What [`convert`] will write.
    ///
    /// # Errors
    /// When the checkpoint does not fit its layout or cannot be quantized.
    pub fn plan(&self) -> Result<ConversionPlan, CheckpointError> {
        let purpose = self.checkpoint.purpose();
        let claims = self.layout.claim(self.checkpoint, self.layers, purpose)?;
        self.recipe.plan(&claims, self.checkpoint, purpose)
    }

    /// The size of the folder that [`convert`] will write, in bytes; its `conversion_metadata.json`,
    /// which holds times, is not counted, as in [`Converted::folder_bytes`].
    ///
    /// # Errors
    /// As [`Self::plan`], and when a file to be copied cannot be read.
    pub fn expected_bytes(&self) -> Result<u64, CheckpointError> {
        let plan = self.plan()?;
        let weights = weight_files(&plan);
        let beside = self.side_files(&plan, &weights)?;
        let beside = beside.iter().map(SideFile::bytes).sum::<Result<u64, _>>()?;
        Ok(weights.iter().map(SingleFile::bytes).sum::<u64>() + beside)
    }

    /// Everything in the folder beside the weights and the metadata of the conversion.
    fn side_files(
        &self,
        plan: &ConversionPlan,
        weights: &[SingleFile],
    ) -> Result<Vec<SideFile>, CheckpointError> {
        let dir = self.checkpoint.dir();
        let purpose = self.checkpoint.purpose();
        let config = converted_config(self.checkpoint.config(), self.layout, plan, purpose);
        let index = index(weights, plan.parameters());
        let card = std::fs::read_to_string(dir.join("README.md")).ok();
        let card = model_card(card.as_deref(), self.base_model, plan);
        let mut files = vec![
            SideFile::written("config.json", pretty(&config)),
            SideFile::written("model.safetensors.index.json", pretty(&index)),
            SideFile::written("README.md", card.into_bytes()),
        ];
        files.extend(copied_files(dir)?);
        Ok(files)
    }
}

/// The weight files that a plan makes.
fn weight_files(plan: &ConversionPlan) -> Vec<SingleFile> {
    shards(plan.tensors.iter().flat_map(PlannedTensor::outputs).collect())
}

/// Converts a checkpoint; `target` appears only when it is complete. `watch` hears of every block
/// and can end the work.
///
/// # Errors
/// When the checkpoint is wrong or already quantized, weights are not finite or do not fit the
/// dtype, or `target` cannot be written; nothing is left behind then.
pub fn convert(request: ConvertRequest, watch: &mut Watch) -> Result<Converted, CheckpointError> {
    let start = Instant::now();
    let checkpoint = request.checkpoint;
    refuse_source(checkpoint, request.target)?;
    let purpose = checkpoint.purpose();
    let claims = request.layout.claim(checkpoint, request.layers, purpose)?;
    let plan = request.recipe.plan(&claims, checkpoint, purpose)?;
    let staged = StagedFolder::create(request.target, request.replace)?;
    let files = weight_files(&plan);
    write_tensors(checkpoint, &plan, &files, &staged, watch)?;
    for file in request.side_files(&plan, &files)? {
        file.place(&staged)?;
    }
    let sizes = sizes(staged.path())?;
    let size = |name: &String| sizes.get(name).and_then(Value::as_u64).unwrap_or(0);
    let folder_bytes = sizes.keys().map(size).sum();
    let weights_bytes = files.iter().map(|file| size(&file.name)).sum();
    let seconds = start.elapsed().as_secs_f64();
    let metadata = metadata(request.metadata, &plan, folder_bytes, seconds, sizes);
    staged.write(crate::write::MARKER, &pretty(&Value::Object(metadata.clone())))?;
    staged.publish()?;
    Ok(Converted {
        dropped: claims.dropped,
        unknown: claims.unknown,
        plan,
        weights_bytes,
        folder_bytes,
        seconds,
        metadata,
    })
}

/// The metadata of the conversion at `dir`, if there is a complete one: every file it lists is there
/// and has its size.
///
/// # Errors
/// When `dir` exists and is no complete conversion, with the reason.
pub fn already_converted(dir: &Path) -> Result<Option<Map<String, Value>>, CheckpointError> {
    if dir.symlink_metadata().is_err() {
        return Ok(None);
    }
    let incomplete = |reason: String| CheckpointError::Output { path: dir.to_owned(), reason };
    let marker = dir.join(crate::write::MARKER);
    if !marker.is_file() {
        return Err(incomplete("exists, but holds no `conversion_metadata.json`".to_owned()));
    }
    let metadata = json::read_object(&marker)?;
    let files = metadata.get("files").and_then(Value::as_object);
    let files = files.ok_or_else(|| incomplete("its metadata list no files".to_owned()))?;
    for (name, size) in files {
        let found = std::fs::metadata(dir.join(name)).map(|metadata| metadata.len()).ok();
        if found != size.as_u64() {
            let found = found.map_or("nothing".to_owned(), |bytes| format!("{bytes} bytes"));
            return Err(incomplete(format!("`{name}` has {found}, its metadata say {size} bytes")));
        }
    }
    Ok(Some(metadata))
}

fn refuse_source(checkpoint: &Checkpoint, target: &Path) -> Result<(), CheckpointError> {
    let dir = checkpoint.dir();
    if checkpoint.quantization().is_some() {
        let how = "`quantization` in config.json".to_owned();
        return Err(CheckpointError::AlreadyQuantized { path: dir.to_owned(), how });
    }
    let source = dir.canonicalize().map_err(CheckpointError::io(dir))?;
    let target_place = canonical_place(target);
    if target_place.starts_with(&source) || source.starts_with(&target_place) {
        let reason = format!("lies in, or around, the source `{}`", dir.display());
        return Err(CheckpointError::Output { path: target.to_owned(), reason });
    }
    Ok(())
}

/// `path` with the links of its nearest existing ancestor resolved.
fn canonical_place(path: &Path) -> PathBuf {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in full.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), full.strip_prefix(ancestor)) {
            return real.join(rest);
        }
    }
    full
}

/// Every file under `dir` with its size.
fn sizes(dir: &Path) -> Result<Map<String, Value>, CheckpointError> {
    fn walk(
        dir: &Path,
        prefix: &str,
        sizes: &mut Map<String, Value>,
    ) -> Result<(), CheckpointError> {
        for entry in std::fs::read_dir(dir).map_err(CheckpointError::io(dir))? {
            let path = entry.map_err(CheckpointError::io(dir))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, &format!("{prefix}{name}/"), sizes)?;
            } else {
                let bytes = std::fs::metadata(&path).map_err(CheckpointError::io(&path))?.len();
                sizes.insert(format!("{prefix}{name}"), bytes.into());
            }
        }
        Ok(())
    }
    let mut all = Map::new();
    walk(dir, "", &mut all)?;
    all.sort_keys();
    Ok(all)
}

/// The caller's metadata with what the conversion found out; keys of `quantization` are merged.
fn metadata(
    mut known: Map<String, Value>,
    plan: &ConversionPlan,
    folder_bytes: u64,
    seconds: f64,
    files: Map<String, Value>,
) -> Map<String, Value> {
    let size_mb = folder_bytes as f64 / (1 << 20) as f64;
    let mut quantization = match known.remove("quantization") {
        Some(Value::Object(map)) => map,
        _ => Map::new(),
    };
    let target = quantization.get("target_size_mb").and_then(Value::as_f64);
    let kept: Vec<Value> =
        plan.kept().iter().map(|(name, reason)| json!({"name": name, "reason": reason})).collect();
    let original_bytes: usize = plan.tensors.iter().map(|tensor| tensor.source.bytes()).sum();
    let dtype = crate::write::float_name(plan);
    for (key, value) in [
        ("bits", json!(plan.format.bits())),
        ("group_size", json!(plan.format.group_size())),
        ("mode", json!(plan.format.mode())),
        ("float_dtype", json!(dtype)),
        ("actual_size_mb", json!(size_mb)),
        ("original_size_mb", json!(original_bytes as f64 / (1 << 20) as f64)),
        ("compression_ratio", json!(original_bytes as f64 / plan.tensor_bytes() as f64)),
        ("bits_per_weight", json!(plan.bits_per_weight())),
        ("excluded_layers", json!(kept)),
    ] {
        quantization.insert(key.to_owned(), value);
    }
    known.insert("quantization".to_owned(), Value::Object(quantization));
    let ratio = target.map(|target| size_mb / target);
    for (key, value) in [
        ("size_accuracy_ratio", json!(ratio)),
        ("size_target_ratio", json!(ratio)),
        ("size_bytes", json!(folder_bytes)),
        ("conversion_time_seconds", json!(seconds)),
        ("converter_version", json!(concat!("mlxq ", env!("CARGO_PKG_VERSION")))),
        ("files", Value::Object(files)),
    ] {
        known.insert(key.to_owned(), value);
    }
    known
}
