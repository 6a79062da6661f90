//! Doing what the configuration asks for.

mod baseline;
pub(crate) mod convert;
mod judge;
mod measure;
mod rows;
pub(crate) mod test;
