//! Doing what the configuration asks for.

mod baseline;
mod cell;
pub(crate) mod convert;
mod gates;
pub(crate) mod inspect;
pub(crate) mod judge;
mod measure;
mod provenance;
mod rows;
mod run;
pub(crate) mod test;
