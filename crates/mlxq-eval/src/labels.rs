//! Label names of data and model, brought together.

use std::collections::BTreeMap;

use crate::EvalError;

/// For each data label its place among the model's labels: by `map` (data name → model name), else by
/// equal names but for case, spaces, `_` and `-`.
///
/// # Errors
/// When the model's labels have no names (`LABEL_0` …) and are not all mapped, or a data label has no
/// counterpart, or two have the same.
pub fn match_labels(
    data: &[String],
    model: &[String],
    map: &BTreeMap<String, String>,
) -> Result<Vec<usize>, EvalError> {
    let place = |label: &String| {
        let wanted = map.get(label).unwrap_or(label);
        let exact = model.iter().position(|name| name == wanted);
        exact.or_else(|| model.iter().position(|name| normalised(name) == normalised(wanted)))
    };
    let places: Vec<Option<usize>> = data.iter().map(place).collect();
    let both = format!("the data has {}; the model has {}", data.join(", "), model.join(", "));
    if places.iter().any(Option::is_none) {
        let missing: Vec<_> = data
            .iter()
            .zip(&places)
            .filter(|(_, place)| place.is_none())
            .map(|(label, _)| format!("`{label}`"))
            .collect();
        let nameless = if model.iter().all(|name| name.starts_with("LABEL_")) {
            "; the model's labels have no names, so say with `label_map` what they mean"
        } else {
            ""
        };
        return Err(EvalError::Labels(format!(
            "the model has no label {}: {both}{nameless}",
            missing.join(", ")
        )));
    }
    let places: Vec<usize> = places.into_iter().flatten().collect();
    let mut seen = places.clone();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() < places.len() {
        return Err(EvalError::Labels(format!(
            "two data labels mean the same model label: {both}"
        )));
    }
    Ok(places)
}

fn normalised(name: &str) -> String {
    name.chars().filter(|c| !" _-".contains(*c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_match_whatever_their_order_and_case() {
        let data = names(&["entailment", "not_entailment"]);
        let model = names(&["Not Entailment", "ENTAILMENT"]);
        assert_eq!(match_labels(&data, &model, &BTreeMap::new()).ok(), Some(vec![1, 0]));
    }

    #[test]
    fn a_map_says_what_nameless_labels_mean() {
        let (data, model) = (names(&["neg", "pos"]), names(&["LABEL_0", "LABEL_1"]));
        let error = match_labels(&data, &model, &BTreeMap::new()).expect_err("nameless");
        assert!(error.to_string().contains("label_map"), "{error}");
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
        };
        let good = map(&[("neg", "LABEL_1"), ("pos", "LABEL_0")]);
        assert_eq!(match_labels(&data, &model, &good).ok(), Some(vec![1, 0]));
        let double = map(&[("neg", "LABEL_1"), ("pos", "LABEL_1")]);
        assert!(match_labels(&data, &model, &double).is_err());
    }
}
