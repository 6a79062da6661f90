//! What a careful reader should know of a data set before its figures.

use super::{Dataset, Row, Target};

/// More unusable rows than this share are worth more than a mention.
const SKIPPED_SHARE: f64 = 0.05;

impl Dataset {
    /// What is odd about the rows: unusable ones, by reason; one label alone; the same text everywhere.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let skipped: usize = self.skipped.values().sum();
        if skipped > 0 {
            let reasons: Vec<_> =
                self.skipped.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
            let all = self.rows_in_file;
            let many = skipped as f64 > SKIPPED_SHARE * all as f64;
            let much = if many { "; that is more than 5 %" } else { "" };
            let reasons = reasons.join(", ");
            warnings.push(format!("{skipped} of {all} rows are not used ({reasons}){much}"));
        }
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
