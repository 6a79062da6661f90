//! Rules of every file: size, and nothing that belongs to one machine only.

use super::Entry;

const FILE_BYTES: usize = 1_000_000;

/// What must not stand in a file. Each word is put together here, so that this file passes.
fn forbidden() -> [(String, &'static str); 5] {
    let join = |parts: &[&str]| parts.concat();
    [
        (join(&["pypi", ".org"]), "names a registry's host"),
        (join(&["crates", ".io/api"]), "names a registry's host"),
        (join(&["files.python", "hosted"]), "names a registry's host"),
        (join(&["/work", "/"]), "holds a path of one machine"),
        (join(&["/ro", "ot/"]), "holds a path of one machine"),
    ]
}

/// What breaks a rule in `entry`.
pub(super) fn check(entry: &Entry) -> Vec<String> {
    let path = entry.path.display();
    let mut broken = Vec::new();
    if entry.bytes.len() > FILE_BYTES {
        broken.push(format!("{path}: {} bytes, at most {FILE_BYTES}", entry.bytes.len()));
    }
    let Some(text) = entry.text() else { return broken };
    for (place, line) in text.lines().enumerate() {
        for (word, rule) in &forbidden() {
            // `quickstart/work/` and its like are paths of the checkout.
            let found = line.match_indices(word.as_str());
            let bad = found.into_iter().any(|(at, _)| !line[..at].ends_with(char::is_alphanumeric));
            if bad {
                broken.push(format!("{path}:{}: {rule}", place + 1));
            }
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_can_fail() {
        for (word, rule) in forbidden() {
            let bytes = format!("first\nsee {word}x\n").into_bytes();
            let broken = check(&Entry { path: "a.md".into(), bytes });
            assert_eq!(broken, [format!("a.md:2: {rule}")]);
        }
        let large = Entry { path: "a.bin".into(), bytes: vec![0xff; FILE_BYTES + 1] };
        assert_eq!(check(&large).len(), 1);
        let fine = Entry { path: "a.md".into(), bytes: b"see quickstart/work/x\n".to_vec() };
        assert!(check(&fine).is_empty());
    }
}
