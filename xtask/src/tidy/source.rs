//! Rules of Rust files: sizes, heads, names, `unsafe`.

use std::path::Path;

use super::Entry;

const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 80;
/// Names that say nothing about what a module holds.
const EMPTY_NAMES: [&str; 5] = ["utils", "util", "common", "helpers", "misc"];

/// What breaks a rule in `entry`, a Rust file.
pub(super) fn check(entry: &Entry) -> Vec<String> {
    let path = &entry.path;
    let Some(text) = entry.text() else { return vec![format!("{}: no text", path.display())] };
    let mut broken = Vec::new();
    let mut at = |line: usize, rule: String| {
        broken.push(format!("{}:{line}: {rule}", path.display()));
    };
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() > FILE_LINES {
        at(lines.len(), format!("the file has {} lines, at most {FILE_LINES}", lines.len()));
    }
    if !text.starts_with("//!") {
        at(1, "the file does not begin with what it is for (`//!`)".to_owned());
    }
    let names = path.components().filter_map(|part| part.as_os_str().to_str());
    for name in names.map(|name| name.trim_end_matches(".rs")) {
        if EMPTY_NAMES.contains(&name) {
            at(1, format!("`{name}` names nothing"));
        }
    }
    for (line, length) in long_functions(&lines) {
        at(line, format!("a function of {length} lines, at most {FUNCTION_LINES}"));
    }
    if !may_be_unsafe(path) {
        for (place, line) in lines.iter().enumerate() {
            if is_unsafe(line) {
                at(place + 1, "`unsafe` outside the kernels".to_owned());
            }
        }
    }
    broken
}

/// Where `unsafe` may stand.
fn may_be_unsafe(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.starts_with("crates/mlxq-kernels/src/")
}

fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let words = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"];
    words.iter().any(|word| code.contains(word)) && !code.contains('"')
}

/// First line and length of every function that is too long, by rustfmt's indentation: a function
/// ends at the first `}` that stands as far in as its `fn`.
fn long_functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let mut long = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let is_function =
            code.starts_with("fn ") || code.contains(" fn ") && code.starts_with("pub");
        if !is_function || code.ends_with(';') {
            continue;
        }
        // A signature over several lines that ends without a body, as in a trait.
        let indent = &line[..line.len() - code.len()];
        let (end, no_body) = (format!("{indent}}}"), format!("{indent})"));
        let ends = |line: &&str| **line == end || line.starts_with(&no_body) && line.ends_with(';');
        let length = lines[start..].iter().position(ends).map_or(0, |at| at + 1);
        if length > FUNCTION_LINES {
            long.push((start + 1, length));
        }
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<String> {
        check(&Entry { path: path.into(), bytes: text.as_bytes().to_vec() })
    }

    #[test]
    fn each_rule_can_fail() {
        let body = "    x();\n".repeat(79);
        for (path, text, word) in [
            ("a.rs", "fn f() {}\n".to_owned(), "what it is for"),
            ("a.rs", format!("//! A.\n{}", "// x\n".repeat(600)), "601 lines"),
            ("a.rs", format!("//! A.\npub(crate) fn f() {{\n{body}}}\n"), "81 lines"),
            ("src/utils.rs", "//! A.\n".to_owned(), "names nothing"),
            ("src/common/a.rs", "//! A.\n".to_owned(), "names nothing"),
            ("crates/mlxq-eval/src/a.rs", "//! A.\nunsafe { x() };\n".to_owned(), "`unsafe`"),
        ] {
            let rules = broken(path, &text);
            assert!(rules.len() == 1 && rules[0].contains(word), "{word}: {rules:?}");
        }
    }

    #[test]
    fn good_files_pass() {
        let text = "//! A.\n\nfn f() {\n    // unsafe { is only a word here }\n    x();\n}\n";
        assert!(broken("crates/mlxq-eval/src/a.rs", text).is_empty());
        let signature = "trait T {\n    fn f(\n        x: u8,\n    ) -> u8;\n";
        let text = format!("//! A.\n{signature}{}}}\n", "    // x\n".repeat(90));
        assert!(broken("crates/mlxq-models/src/a.rs", &text).is_empty());
        assert!(broken("crates/mlxq-kernels/src/a.rs", "//! A.\nunsafe { x() };\n").is_empty());
    }
}
