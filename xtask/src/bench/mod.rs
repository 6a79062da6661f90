//! Speed ratios against the peers, each taken in one run of this machine.

mod quantize;
mod run;

pub(crate) use quantize::run as quantize;
pub(crate) use run::run;
