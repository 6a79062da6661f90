//! Doing what the configuration asks for.

mod baseline;
mod cell;
pub(crate) mod convert;
mod dataset;
pub(crate) mod inspect;
mod judge;
mod lock;
mod measure;
mod provenance;
mod rows;
mod run;
pub(crate) mod test;
