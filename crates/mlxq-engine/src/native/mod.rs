//! The native engine: models on the CPU, from converted folders and original checkpoints alike.

mod engine;
mod ops;
mod sentence;
mod table;
mod weights;

pub use engine::{NativeEngine, NativeOptions};
pub use mlxq_kernels::gemm::Activations;
pub use ops::{Linear, NativeOps, Norm, Tensor};
pub use table::Table;
