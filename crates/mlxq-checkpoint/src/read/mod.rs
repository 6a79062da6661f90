//! Readers of weight files.

mod input;
mod limits;
mod map;
mod safetensors;
mod shards;
mod torch;

use std::path::Path;

use crate::CheckpointError;
use crate::tensor::TensorSource;

pub(crate) use input::Input;
pub(crate) use map::Mapping;
pub use safetensors::Safetensors;
pub(crate) use shards::{Index, Shards, weight_files};
pub use torch::TorchFile;
pub(crate) use torch::describe_pickle;

/// The tensors of a folder that need not have a configuration, such as that of a module of
/// sentence-transformers.
///
/// # Errors
/// When there is no weight file, or it is wrong.
pub fn open_weights(dir: &Path) -> Result<Box<dyn TensorSource>, CheckpointError> {
    Ok(Box::new(Shards::open(dir)?))
}
