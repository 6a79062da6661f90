//! What the outputs of a classification head mean.

use crate::config::wrong;
use crate::{Config, ModelError};

/// The `problem_type` of a `config.json`, by the names of transformers' `PreTrainedConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemType {
    /// Each output is a quantity.
    Regression,
    /// One of the labels is right.
    SingleLabel,
    /// Each label is right or not, whatever the others are.
    MultiLabel,
}

/// All values, by name.
const NAMES: [(&str, ProblemType); 3] = [
    ("regression", ProblemType::Regression),
    ("single_label_classification", ProblemType::SingleLabel),
    ("multi_label_classification", ProblemType::MultiLabel),
];

/// The problem type of a head with `labels` outputs; `None` where the configuration does not say.
///
/// # Errors
/// When the value is none of the three, which transformers 5.23 passes over, or when one label is to be
/// chosen from one, which transformers refuses too.
pub fn read(config: Config, labels: usize) -> Result<Option<ProblemType>, ModelError> {
    let Some(value) = config.get("problem_type") else {
        return Ok(None);
    };
    let known = NAMES.iter().find(|(name, _)| value.as_str() == Some(name));
    let Some((_, problem)) = known else {
        let names = NAMES.map(|(name, _)| format!("`{name}`"));
        return Err(wrong("problem_type", value, &format!("one of {}", names.join(", "))));
    };
    if (*problem, labels) == (ProblemType::SingleLabel, 1) {
        let expected = "another for a head with one label, such as `regression`";
        return Err(wrong("problem_type", value, expected));
    }
    Ok(Some(*problem))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn problem(value: &Value, labels: usize) -> Result<Option<ProblemType>, String> {
        let config = json!({"problem_type": value});
        let map = config.as_object().expect("an object");
        read(Config::new(map), labels).map_err(|error| error.to_string())
    }

    #[test]
    fn the_names_are_those_of_transformers() {
        let single = json!("single_label_classification");
        assert_eq!(problem(&single, 2), Ok(Some(ProblemType::SingleLabel)));
        for labels in [1, 3] {
            let multi = json!("multi_label_classification");
            assert_eq!(problem(&json!("regression"), labels), Ok(Some(ProblemType::Regression)));
            assert_eq!(problem(&multi, labels), Ok(Some(ProblemType::MultiLabel)));
            assert_eq!(problem(&Value::Null, labels), Ok(None));
        }
    }

    /// Of these transformers 5.23 refuses the last, and takes the others for no problem type.
    #[test]
    fn what_has_no_meaning_is_refused() {
        let single = json!("single_label_classification");
        for (value, labels) in [(json!("classification"), 3), (json!(1), 3), (single, 1)] {
            let error = problem(&value, labels).expect_err("refused");
            assert!(error.starts_with("config.json: `problem_type` is"), "{error}");
        }
    }
}
