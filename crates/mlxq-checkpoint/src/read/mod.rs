//! Readers of weight files.

mod safetensors;
mod shards;

pub use safetensors::Safetensors;
pub(crate) use shards::{Shards, weight_files};
