//! Things that predict, behind one trait: the native engine and worker processes.
//!
//! This crate knows token rows and vectors. It knows no metrics, no gates and no data sets.

mod engine;
mod error;
mod tokenize;

pub mod conformance;
pub mod memory;
pub mod native;
pub mod torch;
pub mod worker;

pub use engine::{Batch, Engine, EngineInfo, Output, OutputKind, TOKENS_AT_ONCE};
pub use error::EngineError;
pub use tokenize::{Encoding, MaxLength, Tokenizer, Truncation};
