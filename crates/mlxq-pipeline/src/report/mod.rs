//! Records made readable; nothing is computed here.

mod compared;
mod fidelity;
mod inspection;
mod summary;
mod table;

pub(crate) use fidelity::fidelity;
pub(crate) use summary::summary;
pub(crate) use table::table;
