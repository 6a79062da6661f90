//! The rules of the code's shape, as tests of the checkout.

mod arrows;
mod source;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

use crate::places;
use crate::process::{command, output, say};

/// A file of the checkout.
struct Entry {
    /// Its path under the root.
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Entry {
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }

    fn has_ending(&self, ending: &str) -> bool {
        self.path.extension().is_some_and(|other| other == ending)
    }
}

/// Checks everything and prints what breaks a rule.
///
/// # Errors
/// When the checkout or cargo cannot be read.
pub(crate) fn run() -> Result<ExitCode> {
    let root = places::root();
    let mut broken = arrows::check(&root)?;
    for entry in entries(&root)? {
        broken.extend(text::check(&entry));
        if entry.has_ending("rs") {
            broken.extend(source::check(&entry));
        }
    }
    for rule in &broken {
        say(rule);
    }
    say(&format!("tidy: {} rules broken", broken.len()));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files that belong to the project: those git knows or would take.
fn entries(root: &Path) -> Result<Vec<Entry>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let names = output(command("git", arguments).current_dir(root))?;
    let mut entries = Vec::new();
    for name in names.split('\0').filter(|name| !name.is_empty()) {
        // A file that is deleted and not yet committed has nothing to check.
        if let Ok(bytes) = std::fs::read(root.join(name)) {
            entries.push(Entry { path: name.into(), bytes });
        }
    }
    Ok(entries)
}
