//! The converter: a checkpoint to an MLX folder, or an MLX folder back to floats.

mod metadata;
mod space;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use mlxq_kernels::float::Float;
use serde_json::{Map, Value};

pub use metadata::{already_converted, conversion_at, source_stamp};

use crate::dequantized::Dequantized;
use crate::layout::{Arrangement, Kind, Layout, arrange_by_shape};
use crate::recipe::{ConversionPlan, PlannedTensor, Recipe, plan_floats};
use crate::stream::{Stream, Watch, open_writers};
use crate::tensor::TensorSource;
use crate::write::{
    ConfigContext, SHARD_BYTES, ShardWriter, SideFile, SingleFile, StagedFolder, converted_config,
    copied_files, index, model_card, pooling_mode, pretty, shards,
};
use crate::{Checkpoint, CheckpointError, json};

/// What is to be done with a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Its weights are quantized.
    Quantize(Recipe),
    /// An MLX folder's weights become floats again, under the names of the HuggingFace checkpoint.
    Dequantize {
        /// The format of all floats; `None`: of the scales.
        float: Option<Float>,
    },
}

/// What is to be converted, and how.
pub struct ConvertRequest<'a> {
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// Its model type's layout; without one the tensors' shapes decide.
    pub layout: Option<&'a Layout>,
    /// The folder to write.
    pub target: &'a Path,
    /// What is done.
    pub task: Task,
    /// Whether numbers that are not finite are converted as MLX does.
    pub allow_non_finite: bool,
    /// The most tensor bytes of one weight file.
    pub max_shard_bytes: u64,
    /// Whether an earlier conversion at `target` is replaced.
    pub replace: bool,
    /// The model's name on the Hub, for the card.
    pub base_model: Option<&'a str>,
    /// What the caller knows, written into `conversion_metadata.json`.
    pub metadata: Map<String, Value>,
    /// The content identity of the source, also for that file; found out while the weights are
    /// converted.
    pub identity: Option<&'a Identity<'a>>,
}

/// Finds out the content identity of a source, as keys of `conversion_metadata.json`.
pub type Identity<'a> = dyn Fn() -> std::io::Result<Map<String, Value>> + Sync + 'a;

/// What was written.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The plan that was followed.
    pub plan: ConversionPlan,
    /// Tensors left out: name and reason.
    pub dropped: Vec<(String, &'static str)>,
    /// Tensors that the model type does not know, left out.
    pub unknown: Vec<String>,
    /// Tensors with numbers that are not finite.
    pub non_finite: BTreeSet<String>,
    /// Bytes of the weight files.
    pub weights_bytes: u64,
    /// Bytes of all files of the folder but its metadata.
    pub folder_bytes: u64,
    /// Seconds from the request to the finished folder.
    pub seconds: f64,
    /// Seconds of these that the disk took to flush the files.
    pub flush_seconds: f64,
    /// The object of `conversion_metadata.json`.
    pub metadata: Map<String, Value>,
}

/// What a conversion will write and leave out.
#[derive(Debug, Clone)]
pub struct Prospect {
    /// What becomes of every used tensor.
    pub plan: ConversionPlan,
    /// Tensors left out: name and reason.
    pub dropped: Vec<(String, &'static str)>,
    /// Tensors that the model type does not know, left out.
    pub unknown: Vec<String>,
    /// The size of the folder in bytes; its `conversion_metadata.json`, which holds times, is not
    /// counted, as in [`Converted::folder_bytes`].
    pub folder_bytes: u64,
}

impl<'a> ConvertRequest<'a> {
    /// A request with the usual settings.
    pub fn new(
        checkpoint: &'a Checkpoint,
        layout: Option<&'a Layout>,
        target: &'a Path,
        task: Task,
    ) -> Self {
        Self {
            checkpoint,
            layout,
            target,
            task,
            allow_non_finite: false,
            max_shard_bytes: SHARD_BYTES,
            replace: false,
            base_model: None,
            metadata: Map::new(),
            identity: None,
        }
    }

    /// What [`convert`] will write.
    ///
    /// # Errors
    /// When the checkpoint does not fit its layout or cannot be quantized, or a file to be copied
    /// cannot be read.
    pub fn prospect(&self) -> Result<Prospect, CheckpointError> {
        self.with_source(|source| {
            let arrangement = self.arrange(source)?;
            let plan = self.plan(&arrangement)?;
            let weights = self.weight_files(&plan);
            let folder_bytes = self.folder_bytes(&plan, &weights)?;
            let Arrangement { dropped, unknown, .. } = arrangement;
            Ok(Prospect { plan, dropped, unknown, folder_bytes })
        })
    }

    /// Calls `work` with the tensors that are arranged: the checkpoint's, or its floats.
    fn with_source<T>(
        &self,
        work: impl FnOnce(&dyn TensorSource) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        if self.layout.is_none_or(|layout| layout.kind != Kind::Decoder) {
            self.checkpoint.refuse_own_code()?;
        }
        match self.task {
            Task::Quantize(_) => work(self.checkpoint),
            Task::Dequantize { .. } => work(&Dequantized::new(self.checkpoint)?),
        }
    }

    fn arrange(&self, source: &dyn TensorSource) -> Result<Arrangement, CheckpointError> {
        match (self.layout, &self.task) {
            (None, _) => Ok(arrange_by_shape(source)),
            (Some(layout), Task::Dequantize { .. }) => layout.restore(source),
            (Some(layout), Task::Quantize(_)) => {
                layout.arrange(source, self.checkpoint.config(), self.checkpoint.purpose())
            }
        }
    }

    fn plan(&self, arrangement: &Arrangement) -> Result<ConversionPlan, CheckpointError> {
        match &self.task {
            Task::Quantize(recipe) => {
                recipe.plan(self.layout, self.checkpoint.config(), arrangement)
            }
            Task::Dequantize { float } => Ok(plan_floats(arrangement, *float)),
        }
    }

    /// The weight files that a plan makes.
    fn weight_files(&self, plan: &ConversionPlan) -> Vec<SingleFile> {
        let tensors = plan.tensors.iter().flat_map(PlannedTensor::outputs).collect();
        shards(tensors, self.max_shard_bytes)
    }

    fn folder_bytes(
        &self,
        plan: &ConversionPlan,
        weights: &[SingleFile],
    ) -> Result<u64, CheckpointError> {
        let beside = self.side_files(plan, weights)?;
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
        let context = ConfigContext {
            layout: self.layout,
            plan,
            purpose: self.checkpoint.purpose(),
            // A broken one is copied as it is, as mlx_lm does.
            generation: json::read_object(&dir.join("generation_config.json")).ok(),
            pooling: json::read_object(&dir.join("1_Pooling/config.json"))
                .ok()
                .and_then(|settings| pooling_mode(&settings)),
        };
        let config = converted_config(self.checkpoint.config(), &context);
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

/// Converts a checkpoint; `target` appears only when it is complete. `watch` hears of every block
/// and can end the work. An attempt that was killed or interrupted is continued where it stood, when
/// source, settings and version are the same.
///
/// # Errors
/// When the checkpoint is wrong or already quantized, weights are not finite or do not fit the
/// dtype, or `target` cannot be written. Nothing is left behind then, but for
/// [`CheckpointError::Interrupted`], which leaves what is done to the next attempt.
pub fn convert(request: ConvertRequest, watch: &mut Watch) -> Result<Converted, CheckpointError> {
    let start = Instant::now();
    refuse_source(&request)?;
    let (prospect, staged, files, written) =
        request.with_source(|source| write_weights(&request, source, watch))?;
    let Prospect { plan, dropped, unknown, .. } = prospect;
    for file in request.side_files(&plan, &files)? {
        file.place(&staged)?;
    }
    let sizes = metadata::sizes(staged.path())?;
    let size = |name: &String| sizes.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut converted = Converted {
        folder_bytes: sizes.keys().map(size).sum(),
        weights_bytes: files.iter().map(|file| size(&file.name)).sum(),
        seconds: start.elapsed().as_secs_f64(),
        flush_seconds: written.flush_seconds,
        non_finite: written.non_finite,
        plan,
        dropped,
        unknown,
        metadata: request.metadata.clone(),
    };
    converted.metadata.extend(written.identity);
    metadata::complete(&mut converted, &request, sizes)?;
    if metadata::attempt_key(&request)? != written.key {
        let reason = "has changed while it was converted";
        return Err(CheckpointError::file(request.checkpoint.dir(), reason));
    }
    let text = pretty(&Value::Object(converted.metadata.clone()));
    staged.write(crate::write::MARKER, &text)?;
    staged.publish()?;
    Ok(converted)
}

/// What came out of writing the weights.
struct Written {
    /// What the source and the settings were at the start.
    key: String,
    non_finite: BTreeSet<String>,
    identity: Map<String, Value>,
    flush_seconds: f64,
}

type Weights = (Prospect, StagedFolder, Vec<SingleFile>, Written);

/// Writes the weight files into a staging folder.
fn write_weights(
    request: &ConvertRequest,
    source: &dyn TensorSource,
    watch: &mut Watch,
) -> Result<Weights, CheckpointError> {
    let arrangement = request.arrange(source)?;
    let plan = request.plan(&arrangement)?;
    let tensors = arrangement.folder(source);
    let files = request.weight_files(&plan);
    let folder_bytes = request.folder_bytes(&plan, &files)?;
    let key = metadata::attempt_key(request)?;
    let staged = StagedFolder::create(request.target, request.replace, &key)?;
    space::check(staged.path(), folder_bytes)?;
    let writers = open_writers(&files, staged.path())?;
    let stream = Stream {
        source: &tensors,
        plan: &plan,
        writers: &writers,
        journal: staged.journal(),
        allow_non_finite: request.allow_non_finite,
    };
    let (streamed, identity, flushed) = std::thread::scope(|scope| {
        let identity = request.identity.map(|identity| scope.spawn(identity));
        let (end, ended) = mpsc::channel();
        let flushing = scope.spawn(|| flush_meanwhile(&writers, ended));
        let streamed = stream.run(watch);
        drop::<mpsc::Sender<Never>>(end);
        (streamed, identity.map(|identity| identity.join()), flushing.join())
    });
    let non_finite = match streamed {
        Err(CheckpointError::Interrupted) => {
            staged.keep();
            return Err(CheckpointError::Interrupted);
        }
        other => other?,
    };
    let identity = match identity {
        None => Map::new(),
        Some(Ok(found)) => found.map_err(CheckpointError::io(request.checkpoint.dir()))?,
        Some(Err(panic)) => std::panic::resume_unwind(panic),
    };
    flushed.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let start = Instant::now();
    writers.iter().try_for_each(ShardWriter::sync)?;
    let flush_seconds = start.elapsed().as_secs_f64();
    drop(tensors);
    let Arrangement { dropped, unknown, .. } = arrangement;
    let prospect = Prospect { plan, dropped, unknown, folder_bytes };
    Ok((prospect, staged, files, Written { key, non_finite, identity, flush_seconds }))
}

/// What is never sent.
#[derive(PartialEq)]
enum Never {}

/// How long written blocks lie in memory before the disk is asked to take them.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// Flushes what is written now and then, so that little is left for the end, until the other side of
/// the channel is dropped.
fn flush_meanwhile(
    writers: &[ShardWriter],
    ended: mpsc::Receiver<Never>,
) -> Result<(), CheckpointError> {
    while ended.recv_timeout(FLUSH_EVERY) == Err(RecvTimeoutError::Timeout) {
        writers.iter().try_for_each(ShardWriter::sync)?;
    }
    Ok(())
}

fn refuse_source(request: &ConvertRequest) -> Result<(), CheckpointError> {
    let (checkpoint, target) = (request.checkpoint, request.target);
    let dir = checkpoint.dir();
    if checkpoint.quantization().is_some() && matches!(request.task, Task::Quantize(_)) {
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
