//! The native engine: models on the CPU, from converted folders and original checkpoints alike.

mod engine;
mod linear;
mod ops;
mod parts;
mod pooling;
mod sentence;
mod share;
mod short;
mod table;
mod tensor;
mod weights;

pub use engine::{NativeEngine, NativeOptions};
pub use linear::Linear;
pub use mlxq_kernels::gemm::Activations;
pub use ops::{NativeOps, Norm};
pub use table::Table;
pub use tensor::Tensor;
