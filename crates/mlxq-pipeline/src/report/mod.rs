//! Records made readable; nothing is computed here.

mod inspection;
mod table;

pub(crate) use table::table;
