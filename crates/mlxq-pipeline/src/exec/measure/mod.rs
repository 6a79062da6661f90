//! Times of several engines, taken in turn: see `docs/measuring.md`.
//!
//! Each engine is a process of its own and computes while the others wait. [`rounds`] says who computes
//! when; a [`Scenario`], one file each, what a block of queries is and how its time is counted;
//! [`checks`] whether the machine was quiet enough for the times to be judged.

mod calibration;
pub(crate) mod checks;
mod clock;
mod offline;
mod rounds;
mod scenario;
mod server;
mod single_stream;
mod speed;
mod station;
#[cfg(test)]
mod tests;
mod timing;

pub(super) use rounds::{Measured, Protocol, measure};
pub use scenario::Scenario;
pub(super) use scenario::{ARRIVAL_SEED, Queries};
pub(crate) use server::ServerLoad;
pub(super) use timing::Timing;
