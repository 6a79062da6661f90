//! The native engine: models on the CPU, from converted folders and original checkpoints alike.

mod activations;
mod engine;
mod linear;
mod ops;
mod parts;
mod pooling;
mod sentence;
mod share;
mod table;
mod tensor;
mod weights;

pub use activations::Activations;
pub use engine::{NativeEngine, NativeOptions};
pub use linear::Linear;
pub use ops::{NativeOps, Norm};
pub use table::Table;
pub use tensor::Tensor;
