//! Label names of data and model, brought together.

use std::collections::BTreeMap;

use crate::EvalError;

/// The classes that rows are scored on, and where the labels of data and model stand among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    /// The class of each data label.
    pub of_data: Vec<usize>,
    /// The class of each model label; `None` for one that the data does not have.
    pub of_model: Vec<Option<usize>>,
    /// Which labels were put together, in words.
    pub fold: Option<String>,
}

/// Brings the labels of data and model together: by `map` (data name → model name), else by equal
/// names but for case, spaces, `_` and `-`; those of natural language inference also by what they
/// mean, and where one side tells three classes and the other two, neutral and contradiction are
/// put together.
///
/// # Errors
/// When the model's labels have no names (`LABEL_0` …) and are not all mapped, or a data label has no
/// counterpart, or two have the same.
pub fn match_labels(
    data: &[String],
    model: &[String],
    map: &BTreeMap<String, String>,
) -> Result<Classes, EvalError> {
    let direct = by_name(data, model, map);
    match direct.is_err().then(|| by_inference(data, model)).flatten() {
        Some(classes) if map.is_empty() => Ok(classes),
        _ => {
            let places = direct?;
            let of_model = |m: usize| places.iter().position(|place| *place == m);
            Ok(Classes {
                of_data: (0..data.len()).collect(),
                of_model: (0..model.len()).map(of_model).collect(),
                fold: None,
            })
        }
    }
}

/// For each data label its place among the model's.
fn by_name(
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
    name.chars().filter(|c| !" _-.".contains(*c)).flat_map(char::to_lowercase).collect()
}

/// What a label of natural language inference says of premise and hypothesis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inference {
    Entailment,
    Neutral,
    Contradiction,
    /// One of the last two.
    NotEntailment,
}

impl Inference {
    fn from_name(name: &str) -> Option<Self> {
        Some(match normalised(name).as_str() {
            "entailment" | "entail" | "entails" | "entailed" | "supports" => Self::Entailment,
            "neutral" | "neither" | "notenoughinfo" => Self::Neutral,
            "contradiction" | "contradictory" | "contradicts" | "refutes" => Self::Contradiction,
            "notentailment" | "nonentailment" | "noentailment" | "notentailed" => {
                Self::NotEntailment
            }
            _ => return None,
        })
    }

    /// Each of `names`, unless one is no label of inference or two mean the same.
    fn of_all(names: &[String]) -> Option<Vec<Self>> {
        let all: Vec<Self> = names.iter().map(|n| Self::from_name(n)).collect::<Option<_>>()?;
        let repeated = all.iter().enumerate().any(|(i, label)| all[..i].contains(label));
        (!repeated).then_some(all)
    }
}

/// The classes of natural language inference, if all labels are its own.
fn by_inference(data: &[String], model: &[String]) -> Option<Classes> {
    let (data, model) = (Inference::of_all(data)?, Inference::of_all(model)?);
    let tells_two = |labels: &[Inference]| labels.contains(&Inference::NotEntailment);
    let fold = match (tells_two(&data), tells_two(&model)) {
        (false, true) => Some("data's"),
        (true, false) => Some("model's"),
        _ => None,
    };
    let class = |label: &Inference| match label {
        Inference::Entailment => 0,
        _ if fold.is_some() => 1,
        Inference::Neutral | Inference::NotEntailment => 1,
        Inference::Contradiction => 2,
    };
    let of_data: Vec<usize> = data.iter().map(class).collect();
    let known = |label: &Inference| Some(class(label)).filter(|class| of_data.contains(class));
    let of_model: Vec<Option<usize>> = model.iter().map(known).collect();
    let covered = of_data.iter().all(|class| of_model.contains(&Some(*class)));
    let words = |side| format!("the {side} neutral and contradiction count as not_entailment");
    covered.then(|| Classes { of_model, fold: fold.map(words), of_data })
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
        let classes = match_labels(&data, &model, &BTreeMap::new()).expect("classes");
        assert_eq!(classes.of_data, [0, 1]);
        assert_eq!((classes.of_model, classes.fold), (vec![Some(1), Some(0)], None));
    }

    #[test]
    fn labels_of_inference_match_by_meaning() {
        let data = names(&["entailment", "neutral", "contradictory"]);
        let model = names(&["CONTRADICTION", "ENTAILMENT", "NEUTRAL"]);
        let classes = match_labels(&data, &model, &BTreeMap::new()).expect("classes");
        assert_eq!(classes.of_data, [0, 1, 2]);
        assert_eq!((classes.of_model, classes.fold), (vec![Some(2), Some(0), Some(1)], None));
    }

    #[test]
    fn three_classes_fold_to_two_on_either_side() {
        let three = names(&["entailment", "neutral", "contradiction"]);
        let two = names(&["entailment", "not_entailment"]);
        let fold = |data: &[String], model: &[String]| {
            let classes = match_labels(data, model, &BTreeMap::new()).expect("classes");
            assert!(classes.fold.is_some_and(|fold| fold.contains("not_entailment")));
            (classes.of_data, classes.of_model)
        };
        assert_eq!(fold(&three, &two), (vec![0, 1, 1], vec![Some(0), Some(1)]));
        assert_eq!(fold(&two, &three), (vec![0, 1], vec![Some(0), Some(1), Some(1)]));
        let sentiment = names(&["negative", "positive"]);
        assert!(match_labels(&sentiment, &two, &BTreeMap::new()).is_err());
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
        let classes = match_labels(&data, &model, &good).expect("classes");
        assert_eq!(classes.of_model, [Some(1), Some(0)]);
        let double = map(&[("neg", "LABEL_1"), ("pos", "LABEL_1")]);
        assert!(match_labels(&data, &model, &double).is_err());
    }
}
