//! Intervals and tests for paired results.

mod binomial;
mod bootstrap;
pub mod drift;
mod mcnemar;
mod paired;
mod power;
mod ratio;
mod wilson;

pub(crate) use binomial::one_sided_ranks;
pub use bootstrap::{Bootstrap, SplitMix64, Undefined, paired_difference, resample};
pub use mcnemar::{McNemar, holm};
pub use paired::Drop;
pub use power::{smallest_drop, smallest_margin};
pub use ratio::LogRatio;
pub use wilson::{wilson, wilson_at, wilson_bounds};

/// The 95 % point of the standard normal distribution: one-sided bounds.
pub(crate) const Z_95: f64 = 1.644_853_626_951_472_6;
/// Its 97.5 % point: two-sided intervals.
pub(crate) const Z_975: f64 = 1.959_963_984_540_054;
/// Its 80 % point: the usual power.
pub(crate) const Z_80: f64 = 0.841_621_233_572_914_3;
