//! Quantization formats as MLX defines them.

mod affine;
mod packing;

pub use affine::Affine;
