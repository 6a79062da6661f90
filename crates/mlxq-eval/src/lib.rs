//! Judging on plain slices: data readers, metrics, statistics, fidelity and gates.
//!
//! This crate knows no weights and no engines, and no files but data sets.

pub mod bm25;
pub mod data;
mod error;
pub mod fidelity;
pub mod gate;
pub mod labels;
pub mod metric;
pub mod stats;

pub use error::EvalError;
