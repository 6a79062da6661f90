//! Writers of the MLX folder.

mod card;
mod config;
mod folder;
mod journal;
mod keys;
mod pooling;
mod safetensors;
mod side;

pub(crate) use card::model_card;
pub(crate) use config::{ConfigContext, converted_config, index, pretty};
pub use folder::recover;
pub(crate) use folder::{MARKER, StagedFolder};
pub(crate) use journal::Journal;
pub(crate) use pooling::pooling_mode;
pub use safetensors::SHARD_BYTES;
pub(crate) use safetensors::{ShardWriter, SingleFile, shards};
pub(crate) use side::{SideFile, copied_files};
