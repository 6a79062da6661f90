//! The terminal: messages and progress on stderr, results on stdout.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use mlxq_pipeline::Reporter;

use crate::interrupt;

/// Writes what the user sees.
pub(crate) struct Printer {
    quiet: bool,
    verbose: bool,
    bar: Mutex<Option<(String, ProgressBar)>>,
}

impl Printer {
    /// A printer that says less or more.
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose, bar: Mutex::new(None) }
    }

    /// Prints an error with its causes.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        self.line(&format!("error: {error}"));
        let mut last = error.to_string();
        for cause in error.chain().skip(1).map(ToString::to_string) {
            // Transparent errors repeat their cause's words.
            if !last.contains(&cause) {
                self.line(&format!("  caused by: {cause}"));
            }
            last = cause;
        }
    }

    /// Prints a result on stdout.
    pub(crate) fn result(&self, text: &str) -> std::io::Result<()> {
        self.clear_bar();
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(harmless(text).as_bytes())?;
        stdout.flush()
    }

    /// A line on stderr; a closed stderr is nobody's fault.
    fn line(&self, text: &str) {
        self.clear_bar();
        let _ = writeln!(std::io::stderr(), "{}", harmless(text));
    }

    fn clear_bar(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some((_, bar)) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Printer {
    fn message(&self, text: &str) {
        if !self.quiet {
            self.line(text);
        }
    }

    fn detail(&self, text: &str) {
        if self.verbose {
            self.line(text);
        }
    }

    fn warning(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    fn interrupted(&self) -> bool {
        interrupt::requested()
    }

    fn progress(&self, label: &str, done: u64, total: u64) {
        if self.quiet || !std::io::stderr().is_terminal() {
            return;
        }
        let Ok(mut current) = self.bar.lock() else { return };
        if current.as_ref().is_none_or(|(other, _)| other != label) {
            let style = ProgressStyle::with_template("{msg} [{bar:30}] {percent}% ({eta} left)");
            let bar = ProgressBar::new(total).with_message(harmless(label));
            *current = Some((
                label.to_owned(),
                bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())),
            ));
        }
        if let Some((_, bar)) = current.as_ref() {
            bar.set_length(total);
            bar.set_position(done);
        }
        if done >= total
            && let Some((_, bar)) = current.take()
        {
            bar.finish_and_clear();
        }
    }
}

/// Text in which nothing steers the terminal: names from files may hold escape sequences, or marks that
/// turn the direction of writing.
fn harmless(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control() && letter != '\n'
            || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(letter, '\u{e0000}'..='\u{e007f}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if steers(letter) { shown.extend(letter.escape_unicode()) } else { shown.push(letter) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn what_steers_a_terminal_is_shown_and_not_done() {
        assert_eq!(harmless("a\u{1b}[31mb\u{202e}c\nd ä🙂"), "a\\u{1b}[31mb\\u{202e}c\nd ä🙂");
    }
}
