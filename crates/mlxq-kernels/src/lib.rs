//! Numbers over slices: float formats, quantization, matrix products, attention, norms, activations.
//!
//! This crate knows no names, no paths, no models and no serde. Every function takes and returns
//! plain slices. The same row gives the same bits in any batch and on any number of threads; between
//! instruction sets only the f32 products of `gemm` and `attention` differ, in their last bit.

mod isa;
mod power;
mod simd;

pub mod activation;
pub mod attention;
pub mod elementwise;
pub mod float;
pub mod gemm;
pub mod limits;
pub mod norm;
pub mod pool;
pub mod quant;
pub mod rotary;

pub use isa::name as isa_name;
