//! Models: one file per `model_type`, written once against the coarse operations of [`ops::Ops`].
//!
//! A model file knows configurations, names and shapes. It knows no device, no instruction set and no
//! file, and loops over no elements: the native engine computes its operations, others may record them.

mod activation;
mod attention;
mod blocks;
mod config;
mod encoder;
mod error;
mod registry;
mod shapes;
mod tokens;

pub mod labels;
pub mod ops;
pub mod problem;
pub mod sentence;

pub use activation::Activation;
pub use attention::{AttentionSpec, Buckets, Mask, Relative};
pub use config::Config;
pub use encoder::Encoder;
pub use error::ModelError;
pub use ops::{NormKind, Ops, Pooling, Scope, Weights};
pub use registry::{CONVERTED_TYPES, Description, KNOWN_TYPES, build, describe, layout};
pub use shapes::{check_shapes, expect_shape};
pub use tokens::{Positions, Tokens};
