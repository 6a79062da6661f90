//! Files to named tensors and back: readers, layouts, recipes, and the MLX folder.
//!
//! Hostile input ends here: whatever a file claims is checked before it is believed. This crate
//! computes no forward pass and reaches no network.

mod checkpoint;
mod convert;
mod dequantized;
mod encode;
mod error;
mod inspect;
mod positioned;
mod quantized;
mod read;
mod stream;
mod write;

#[doc(hidden)]
pub mod fuzzing;
pub mod json;
pub mod layout;
pub mod recipe;
pub mod tensor;

pub use checkpoint::{Checkpoint, Purpose, Quantization};
pub use convert::{
    ConvertRequest, Converted, Identity, Prospect, Task, already_converted, conversion_at, convert,
    source_stamp,
};
pub use dequantized::Dequantized;
pub use error::{CheckpointError, shown};
pub use inspect::{Comparison, Deviation, Inspection};
pub use read::{Safetensors, TorchFile, open_weights};
pub use stream::{Progress, Watch};
pub use write::{SHARD_BYTES, recover};
