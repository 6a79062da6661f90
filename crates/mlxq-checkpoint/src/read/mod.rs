//! Readers of weight files.

mod input;
mod limits;
mod safetensors;
mod shards;
mod torch;

pub(crate) use input::Input;
pub use safetensors::Safetensors;
pub(crate) use shards::{Index, Shards, weight_files};
pub use torch::TorchFile;
pub(crate) use torch::describe_pickle;
