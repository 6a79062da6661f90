//! Records made readable; nothing is computed here.

mod table;

pub(crate) use table::table;
