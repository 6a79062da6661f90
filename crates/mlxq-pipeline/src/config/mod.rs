//! What is to be converted and tested: the original pipeline's YAML, extended.

mod choice;
mod file;
mod gates;
mod load;

use std::collections::BTreeMap;
use std::path::PathBuf;

use mlxq_checkpoint::recipe::Recipe;
use mlxq_eval::data::FileSpec;
use mlxq_hub::Source;

pub use crate::task::Task;
pub use choice::Choice;
pub use gates::Gates;
pub use load::{load, parse};

/// The models and data sets of all configuration files.
#[derive(Debug, Default)]
pub struct Config {
    /// The models, in the order of the files.
    pub models: Vec<ModelConfig>,
    /// The data sets by their keys; a later file wins.
    pub datasets: BTreeMap<String, DatasetConfig>,
    /// What was passed over, with the place.
    pub warnings: Vec<String>,
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

/// One data set.
#[derive(Debug, Clone)]
pub struct DatasetConfig {
    /// Its key.
    pub key: String,
    /// Where its rows are.
    pub source: DatasetSource,
    /// The longest row in tokens, if it is set.
    pub max_length: Option<usize>,
    /// File and line that name it.
    pub place: Place,
}

/// Where rows come from.
#[derive(Debug, Clone)]
pub enum DatasetSource {
    /// A file on this machine.
    Local(FileSpec),
    /// A data set of the Hub, which this version cannot fetch.
    HuggingFace(String),
}

/// A line of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// 1-based line.
    pub line: u64,
}
