//! Quantization formats as MLX defines them.

mod affine;
#[cfg(test)]
mod agreement;
mod bytes;
mod floating;
mod format;
mod packing;
mod stored;

pub use affine::Affine;
pub use bytes::Encoded;
pub use floating::Floating;
pub use format::{Format, Packed, Scales};
pub(crate) use packing::spread;
pub use stored::Stored;
