//! Ctrl-C and its kin: the first asks the work to end, the second ends it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// How long the work may take to clean up after itself.
const PATIENCE: Duration = Duration::from_secs(2);
/// 128 and the number of SIGINT, as shells report it.
const EXIT_CODE: i32 = 130;

/// Whether the user wants the run to end.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Listens for interruptions from now on.
#[expect(clippy::exit, reason = "work that does not end by itself is ended")]
pub(crate) fn listen() {
    let handler = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_CODE);
        }
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            std::process::exit(EXIT_CODE);
        });
    };
    // Without a handler the system's own way of ending a process remains.
    let _ = ctrlc::set_handler(handler);
}
