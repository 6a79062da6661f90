//! What a run says while it runs.

/// Whoever shows messages and progress.
pub trait Reporter: Sync {
    /// Something the user wants to know.
    fn message(&self, text: &str);
    /// Something only a curious user wants to know.
    fn detail(&self, text: &str);
    /// Something the user can act on; each is in the record too.
    fn warning(&self, text: &str);
    /// `done` of `total` steps of the work called `label`.
    fn progress(&self, label: &str, done: u64, total: u64);
    /// Whether the user wants the run to end; asked between the steps of long work.
    fn interrupted(&self) -> bool;
}
