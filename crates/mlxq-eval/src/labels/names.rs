//! When two label names mean the same.
//!
//! Names are brought to one form: Unicode's NFKC, without blanks at the ends, in lower case, each run of
//! blanks, `-`, `_` and `.` as one `_`. Beside equal forms, words of one family count as equal where
//! every label of both sides is of that family: `positive` is `pos` among sentiments, and nothing else
//! among topics.

use unicode_normalization::UnicodeNormalization;

/// The form in which names are compared.
pub(super) fn normalised(name: &str) -> String {
    let name: String = name.nfkc().collect();
    let mut form = String::with_capacity(name.len());
    for letter in name.trim().chars() {
        if letter.is_whitespace() || "-_.".contains(letter) {
            if !form.ends_with('_') {
                form.push('_');
            }
        } else {
            form.extend(letter.to_lowercase());
        }
    }
    form
}

/// Words that name the classes of one task, each class with all its words; the first is the class's name.
struct Family(&'static [&'static [&'static str]]);

const FAMILIES: [Family; 2] = [
    Family(&[
        &["entailment", "entail", "entails", "entailed", "supports"],
        &["neutral", "neither", "not_enough_info"],
        &["contradiction", "contradictory", "contradicts", "refutes"],
        &["not_entailment", "non_entailment", "no_entailment", "not_entailed"],
    ]),
    Family(&[&["negative", "neg"], &["neutral"], &["positive", "pos"]]),
];

/// The forms of both sides' names, with one word for what means the same.
pub(super) fn forms(data: &[String], model: &[String]) -> [Vec<String>; 2] {
    let sides = [data, model].map(|names| names.iter().map(|n| normalised(n)).collect::<Vec<_>>());
    let knows = |family: &&Family| sides.iter().flatten().all(|name| family.word(name).is_some());
    match FAMILIES.iter().find(knows) {
        None => sides,
        Some(family) => sides.map(|names| {
            names.into_iter().map(|name| family.word(&name).map_or(name, str::to_owned)).collect()
        }),
    }
}

impl Family {
    fn word(&self, form: &str) -> Option<&'static str> {
        self.0.iter().find(|words| words.contains(&form)).map(|words| words[0])
    }
}

/// What a label of natural language inference says of premise and hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inference {
    Entailment,
    Neutral,
    Contradiction,
    /// One of the last two.
    NotEntailment,
}

impl Inference {
    fn from_name(name: &str) -> Option<Self> {
        Some(match FAMILIES[0].word(&normalised(name))? {
            "entailment" => Self::Entailment,
            "neutral" => Self::Neutral,
            "contradiction" => Self::Contradiction,
            _ => Self::NotEntailment,
        })
    }

    /// Each of `names`, unless one is no label of inference or two mean the same.
    pub(super) fn of_all(names: &[String]) -> Option<Vec<Self>> {
        let all: Vec<Self> = names.iter().map(|n| Self::from_name(n)).collect::<Option<_>>()?;
        let repeated = all.iter().enumerate().any(|(i, label)| all[..i].contains(label));
        (!repeated).then_some(all)
    }
}

/// Whether a name says nothing: a number, or `label_` and a number.
pub(super) fn is_nameless(name: &str) -> bool {
    let form = normalised(name);
    let number = form.strip_prefix("label_").unwrap_or(&form);
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_every_way_of_writing() {
        for (name, form) in [
            (" Not  Entailment\t", "not_entailment"),
            ("NOT-_.ENTAILMENT", "not_entailment"),
            // NFKC: a full-width letter, a ligature, a no-break space.
            ("Ｐos", "pos"),
            ("\u{fb01}ne\u{a0}one", "fine_one"),
            // A letter with its accent apart, and as one.
            ("cafe\u{301}", "caf\u{e9}"),
            ("Sci/Tech", "sci/tech"),
        ] {
            assert_eq!(normalised(name), form, "{name:?}");
        }
    }

    #[test]
    fn names_that_say_nothing() {
        for name in ["0", "12", "LABEL_0", "label_3", "Label 7"] {
            assert!(is_nameless(name), "{name}");
        }
        for name in ["label", "LABEL_x", "1 star", "", "v2"] {
            assert!(!is_nameless(name), "{name}");
        }
    }
}
