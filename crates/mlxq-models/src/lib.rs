//! Models: one file per `model_type`, written once against the coarse operations of [`ops::Ops`].
//!
//! A model file knows configurations, names and shapes. It knows no device, no instruction set and no
//! file, and loops over no elements: the native engine computes its operations, others may record them.

mod config;
mod error;
mod registry;
mod shapes;

pub mod labels;
pub mod ops;
pub mod problem;
pub mod sentence;

pub use config::Config;
pub use error::ModelError;
pub use ops::{Activation, AttentionSpec, Encoder, Ops, Pooling, Scope, Tokens, Weights};
pub use registry::{CONVERTED_TYPES, Description, KNOWN_TYPES, build, describe, layout};
pub use shapes::{check_shapes, expect_shape};
