//! Speed ratios against the peers, each taken in one run of this machine.

mod convert;
mod engine;
mod itself;
mod quantize;
mod run;
mod start;

pub(crate) use convert::run as convert;
pub(crate) use engine::run as engine;
pub(crate) use itself::run as itself;
pub(crate) use quantize::run as quantize;
pub(crate) use run::run;
pub(crate) use start::run as start;
