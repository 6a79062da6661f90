//! Doing what the configuration asks for.

mod baseline;
mod cell;
pub(crate) mod convert;
pub(crate) mod environment;
pub(crate) mod inspect;
mod judge;
mod measure;
mod provenance;
mod rows;
mod run;
pub(crate) mod test;
