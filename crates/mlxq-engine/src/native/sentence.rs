//! The sentence-transformers modules of a model folder.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use mlxq_checkpoint::tensor::{TensorInfo, TensorSource};
use mlxq_checkpoint::{CheckpointError, json, open_weights};
use mlxq_models::sentence::{SentenceModules, SentenceSettings};
use mlxq_models::{ModelError, Scope};
use serde_json::Value;

use super::activations::Activations;
use super::ops::NativeOps;
use super::weights::NativeWeights;

/// A model folder and what its modules are.
pub(super) struct SentenceFolder {
    dir: PathBuf,
    settings: SentenceSettings,
}

impl SentenceFolder {
    /// Reads the settings in `dir`; a folder without any is pooled by the mean.
    ///
    /// # Errors
    /// When settings are wrong or cannot be honoured.
    pub(super) fn open(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join("modules.json");
        let settings = match path.is_file() {
            true => SentenceSettings::read(&json::read_file(&path)?, |module| read(dir, module))?,
            false => SentenceSettings::mean(),
        };
        Ok(Self { dir: dir.to_owned(), settings })
    }

    /// The modules in words.
    pub(super) fn describe(&self) -> String {
        self.settings.describe()
    }

    /// The modules with their weights, which are float in converted folders too.
    ///
    /// # Errors
    /// When weights are missing or do not fit.
    pub(super) fn load(&self) -> Result<SentenceModules<NativeOps>, ModelError> {
        let source = ModuleTensors::open(&self.dir, &self.settings.folders())?;
        let weights = NativeWeights {
            source: &source,
            quantization: None,
            prefix: "",
            activations: Activations::Float32,
            quantized: AtomicBool::new(false),
        };
        self.settings.load(&Scope::root(&weights))
    }
}

/// The settings of the module in the folder `module`.
fn read(dir: &Path, module: &str) -> Result<Value, ModelError> {
    // A module's path is a plain folder name; anything else could leave the model folder.
    if module.is_empty() || module.contains(['/', '\\', ':', '\0']) || module.starts_with('.') {
        return Err(ModelError::Sentence {
            file: "modules.json".to_owned(),
            reason: format!("`{module}` is not the name of a module's folder"),
        });
    }
    Ok(json::read_file(&dir.join(module).join("config.json"))?)
}

/// The tensors of several modules, each named from its folder on: `2_Dense.linear.weight`.
struct ModuleTensors {
    sources: Vec<Box<dyn TensorSource>>,
    tensors: Vec<TensorInfo>,
    /// Which source a tensor is in, and its name there.
    places: Vec<(usize, String)>,
}

impl ModuleTensors {
    fn open(dir: &Path, folders: &[&str]) -> Result<Self, CheckpointError> {
        let mut all = Self { sources: Vec::new(), tensors: Vec::new(), places: Vec::new() };
        for folder in folders {
            let source = open_weights(&dir.join(folder))?;
            for info in source.tensors() {
                let name = format!("{folder}.{}", info.name);
                all.tensors.push(TensorInfo { name, ..info.clone() });
                all.places.push((all.sources.len(), info.name.clone()));
            }
            all.sources.push(source);
        }
        Ok(all)
    }
}

impl TensorSource for ModuleTensors {
    fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    fn read_part(
        &self,
        name: &str,
        part: Range<usize>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), CheckpointError> {
        let place = self.tensors.iter().position(|info| info.name == name);
        let place = place.ok_or_else(|| CheckpointError::missing_tensor(name))?;
        let (source, name) = &self.places[place];
        self.sources[*source].read_part(name, part, buffer)
    }
}
