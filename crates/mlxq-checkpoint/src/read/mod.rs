//! Readers of weight files.

mod input;
mod limits;
mod map;
mod safetensors;
mod shards;
mod torch;

pub(crate) use input::Input;
pub(crate) use map::Mapping;
pub use safetensors::Safetensors;
pub(crate) use shards::{Index, Shards, weight_files};
pub use torch::TorchFile;
pub(crate) use torch::describe_pickle;
