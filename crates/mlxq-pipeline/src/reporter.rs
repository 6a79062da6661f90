//! What a run says while it runs.

/// Whoever shows messages and progress.
pub trait Reporter: Sync {
    /// Something the user wants to know.
    fn message(&self, text: &str);
    /// Something only a curious user wants to know.
    fn detail(&self, text: &str);
    /// Something the user can act on; each is in the record too.
    fn warning(&self, text: &str);
    /// `done` of `total` units of the work called `label`. Comes from many threads, often; works with
    /// different labels run side by side.
    fn progress(&self, label: &str, done: u64, total: u64, unit: Unit);
    /// The work called `label` has ended, well or not.
    fn ended(&self, label: &str);
    /// Whether the user wants the run to end; asked between the steps of long work.
    fn interrupted(&self) -> bool;
}

/// What progress counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes, which have a rate.
    Bytes,
    /// Steps of any kind.
    Steps,
}

/// Long work, whose progress is shown until this is dropped.
pub(crate) struct Work<'r> {
    reporter: &'r dyn Reporter,
    label: String,
    unit: Unit,
}

impl<'r> Work<'r> {
    /// Work that has not begun.
    pub(crate) fn new(reporter: &'r dyn Reporter, label: impl Into<String>, unit: Unit) -> Self {
        Self { reporter, label: label.into(), unit }
    }

    /// `done` of `total` units are done.
    pub(crate) fn show(&self, done: u64, total: u64) {
        self.reporter.progress(&self.label, done, total, self.unit);
    }
}

impl Drop for Work<'_> {
    fn drop(&mut self) {
        self.reporter.ended(&self.label);
    }
}

/// Nobody, for tests.
#[cfg(test)]
pub(crate) struct Silent;

#[cfg(test)]
impl Reporter for Silent {
    fn message(&self, _: &str) {}
    fn detail(&self, _: &str) {}
    fn warning(&self, _: &str) {}
    fn progress(&self, _: &str, _: u64, _: u64, _: Unit) {}
    fn ended(&self, _: &str) {}
    fn interrupted(&self) -> bool {
        false
    }
}
