//! What is to be converted and tested: the original pipeline's YAML, extended.

mod choice;
mod dataset;
mod file;
mod gates;
mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;

use mlxq_checkpoint::recipe::Recipe;
use mlxq_hub::Source;

pub use crate::task::Task;
pub use choice::Choice;
pub use dataset::{DatasetConfig, DatasetFiles, DatasetForm, DatasetSource};
pub use gates::Gates;
pub use load::{load, parse};

/// The models and data sets of all configuration files.
#[derive(Debug, Default)]
pub struct Config {
    /// The models, in the order of the files.
    pub models: Vec<ModelConfig>,
    /// The data sets by their keys, the presets among them; a later file wins.
    pub datasets: BTreeMap<String, DatasetConfig>,
    /// A folder of the Hub's data sets' repositories.
    pub mirror: Option<PathBuf>,
    /// What was passed over, with the place.
    pub warnings: Vec<String>,
}

impl Config {
    /// Lets data sets of the Hub be looked up in `mirror`, unless the files name another.
    pub fn use_mirror(&mut self, mirror: Option<PathBuf>) {
        if self.mirror.is_none() {
            self.mirror = mirror;
        }
        for dataset in self.datasets.values_mut() {
            if let DatasetSource::Hub { mirror, .. } = &mut dataset.source {
                mirror.clone_from(&self.mirror);
            }
        }
    }
}

/// One model and what is asked of it.
#[derive(Debug, Clone)]
pub struct ModelConfig {
    /// Its name.
    pub name: String,
    /// Its name on the Hub, if it has one.
    pub hf_name: Option<String>,
    /// Where the checkpoint lies.
    pub source: Source,
    /// What it is for.
    pub task: Task,
    /// How its weights are quantized.
    pub recipe: Recipe,
    /// The gates.
    pub gates: Gates,
    /// Keys of the data sets to test it on.
    pub benchmarks: Vec<String>,
    /// File and line that name it.
    pub place: Place,
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// 1-based line.
    pub line: u64,
}
