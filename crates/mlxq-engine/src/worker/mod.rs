//! Engines in processes of their own, so that memory and time are theirs alone.
//!
//! One protocol serves them all: [`protocol`] says what goes over the pipes, [`Worker`] is the side
//! that asks, [`serve`] the side that answers for any [`crate::Engine`]; `torch/worker.py` answers
//! for PyTorch.

mod client;
pub mod protocol;
mod serve;

pub use client::{Block, Worker, WorkerCommand};
pub use serve::serve;
