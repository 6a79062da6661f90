//! What a careful reader should know of a data set before its figures.

use std::collections::BTreeMap;

use super::{Collection, Dataset, Row, Target};

/// More unusable rows than this share are worth more than a mention.
const SKIPPED_SHARE: f64 = 0.05;

impl Dataset {
    /// What is odd about the rows: unusable ones, by reason; one label alone; the same text everywhere.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::from_iter(unused("rows", self.rows_in_file, &self.skipped));
        let [first, rest @ ..] = self.rows.as_slice() else { return warnings };
        let same_text = |row: &Row| row.text == first.text && row.text_pair == first.text_pair;
        if !rest.is_empty() && rest.iter().all(same_text) {
            warnings.push("all rows have the same text".to_owned());
        }
        if !rest.is_empty() && rest.iter().all(|row| row.target == first.target) {
            let what = match &first.target {
                Target::Label(label) => match self.labels.get(*label) {
                    Some(name) => format!("label, `{}`", name.escape_debug()),
                    None => "label".to_owned(),
                },
                Target::Labels(_) => "labels".to_owned(),
                Target::Score(score) => format!("score, {score}"),
            };
            warnings.push(format!("all rows have the same {what}: figures say little"));
        }
        warnings
    }
}

impl Collection {
    /// What is odd about the queries: unusable ones, by reason.
    pub fn warnings(&self) -> Vec<String> {
        Vec::from_iter(unused("queries", self.queries_in_file, &self.skipped))
    }
}

/// How many of `all` were `skipped`, and why.
fn unused(what: &str, all: usize, skipped: &BTreeMap<String, usize>) -> Option<String> {
    let reasons: Vec<_> =
        skipped.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
    let skipped: usize = skipped.values().sum();
    let many = skipped as f64 > SKIPPED_SHARE * all as f64;
    let much = if many { "; that is more than 5 %" } else { "" };
    let reasons = reasons.join(", ");
    (skipped > 0).then(|| format!("{skipped} of {all} {what} are not used ({reasons}){much}"))
}
