//! How a run ends, as the process's exit code.

use std::process::ExitCode;

/// The end of a run; of several models the first that applies counts, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitClass {
    /// Everything is done and every gate asked for has passed: 0.
    Done,
    /// No gate has failed, but one is inconclusive or not measured: 4.
    Inconclusive,
    /// A gate has failed: 1.
    GateFailed,
    /// Input, data, model, disk or a missing engine: 3.
    Input,
    /// Usage or configuration, found before any work: 2.
    Usage,
    /// Interrupted by the user; results so far are kept: 130.
    Interrupted,
}

impl ExitClass {
    /// The more urgent of two.
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }

    /// The process's exit code.
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::GateFailed => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Inconclusive => 4,
            Self::Interrupted => 130,
        }
    }
}

impl From<ExitClass> for ExitCode {
    fn from(class: ExitClass) -> Self {
        Self::from(class.number())
    }
}
