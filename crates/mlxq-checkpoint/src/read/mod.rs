//! Readers of weight files.

mod input;
mod limits;
mod safetensors;
mod shards;
mod torch;

pub(crate) use input::Input;
pub use safetensors::Safetensors;
pub(crate) use shards::{Shards, weight_files};
pub use torch::TorchFile;
