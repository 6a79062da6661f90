//! Doing what the configuration asks for.

mod baseline;
mod cell;
pub(crate) mod compare;
pub(crate) mod convert;
mod dataset;
pub(crate) mod environment;
pub(crate) mod fidelity;
mod gates;
pub(crate) mod inspect;
pub(crate) mod judge;
mod lock;
pub(crate) mod measure;
mod provenance;
mod resume;
mod rows;
mod run;
pub(crate) mod test;
