//! The terminal: messages and progress on stderr, results on stdout.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use mlxq_pipeline::{Reporter, Unit};
use serde_json::Value;

use crate::interrupt;

/// Writes what the user sees.
pub(crate) struct Printer {
    quiet: bool,
    verbose: bool,
    /// Where bars are drawn; hidden where stderr is no terminal that can draw.
    area: MultiProgress,
    /// The bars of work that has not ended, by its label.
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Printer {
    /// A printer that says less or more.
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        Self { quiet, verbose, area: MultiProgress::new(), bars: Mutex::default() }
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
        self.write(&harmless(text))
    }

    /// Prints a result that is a JSON document on stdout.
    pub(crate) fn document(&self, document: &Value) -> std::io::Result<()> {
        let json_escape = |letter: char| {
            let units = letter.encode_utf16(&mut [0; 2]).to_vec();
            units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>()
        };
        self.write(&escaped(&format!("{document:#}\n"), json_escape))
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        self.area.suspend(|| {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(text.as_bytes())?;
            stdout.flush()
        })
    }

    /// A line on stderr, above the bars; a closed stderr is nobody's fault.
    fn line(&self, text: &str) {
        let _ = self.area.suspend(|| writeln!(std::io::stderr(), "{}", harmless(text)));
    }

    /// A new bar below the others.
    fn bar(&self, label: &str, total: u64, unit: Unit) -> ProgressBar {
        let style = ProgressStyle::with_template(match unit {
            Unit::Bytes => "{msg} [{bar:24}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left",
            Unit::Steps => "{msg} [{bar:24}] {pos}/{len}, {eta} left",
        });
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style).with_message(harmless(label));
        self.area.add(bar)
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

    /// Cheap enough for every block of a conversion: the bar counts without a lock of its own, and draws
    /// itself at most some twenty times a second.
    fn progress(&self, label: &str, done: u64, total: u64, unit: Unit) {
        if self.quiet || self.area.is_hidden() {
            return;
        }
        let Ok(mut bars) = self.bars.lock() else { return };
        let bar = match bars.get(label) {
            Some(bar) => bar,
            None => bars.entry(label.to_owned()).or_insert(self.bar(label, total, unit)),
        };
        bar.set_position(done);
    }

    fn ended(&self, label: &str) {
        let Ok(mut bars) = self.bars.lock() else { return };
        if let Some(bar) = bars.remove(label) {
            bar.finish_and_clear();
            self.area.remove(&bar);
        }
    }
}

/// Text in which nothing steers the terminal: names from files may hold escape sequences, or marks that
/// turn the direction of writing.
fn harmless(text: &str) -> String {
    escaped(text, |letter| letter.escape_unicode().to_string())
}

/// `text` with `escape` of every letter that steers a terminal.
fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let steers = |letter: char| {
        letter.is_control() && letter != '\n'
            || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(letter, '\u{e0000}'..='\u{e007f}')
    };
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if steers(letter) { shown.push_str(&escape(letter)) } else { shown.push(letter) }
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
