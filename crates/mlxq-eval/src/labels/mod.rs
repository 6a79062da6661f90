//! Label names of data and model, brought together.

mod names;
mod order;

use std::collections::BTreeMap;

use names::Inference;
pub use order::{Suspicion, suspect_order};

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
/// names, where case, Unicode's forms and runs of blanks, `-`, `_` and `.` make no difference; those
/// of natural language inference and of sentiment also by what they mean. Where of inference one side
/// tells three classes and the other two, neutral and contradiction are put together.
///
/// # Errors
/// With the labels of both sides, when the model's have no names (`LABEL_0` …, digits) and are not all
/// mapped, a data label has no counterpart, two have the same, or `map` names what neither side has.
pub fn match_labels(
    data: &[String],
    model: &[String],
    map: &BTreeMap<String, String>,
) -> Result<Classes, EvalError> {
    let direct = by_name(data, model, map);
    match direct.is_err().then(|| by_inference(data, model)).flatten() {
        Some(classes) if map.is_empty() => Ok(classes),
        _ => {
            let places = direct.map_err(|reason| {
                let [data, model] = [data, model].map(list);
                EvalError::Labels(format!("{reason}: the data has {data}; the model has {model}"))
            })?;
            let of_model = |m: usize| places.iter().position(|place| *place == m);
            Ok(Classes {
                of_data: (0..data.len()).collect(),
                of_model: (0..model.len()).map(of_model).collect(),
                fold: None,
            })
        }
    }
}

/// Label names for a message; of very many the first.
fn list(labels: &[String]) -> String {
    const SHOWN: usize = 100;
    let quoted: Vec<String> =
        labels.iter().take(SHOWN).map(|label| format!("`{}`", label.escape_debug())).collect();
    match labels.len().saturating_sub(SHOWN) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// For each data label its place among the model's; else why not.
fn by_name(
    data: &[String],
    model: &[String],
    map: &BTreeMap<String, String>,
) -> Result<Vec<usize>, String> {
    if let Some((from, _)) = map.iter().find(|(from, _)| !data.contains(from)) {
        return Err(format!("`label_map` maps `{}`, which is no label", from.escape_debug()));
    }
    let [data_forms, model_forms] = names::forms(data, model);
    let place = |(label, form): (&String, &String)| {
        let mapped = map.get(label).map(|name| (name, names::normalised(name)));
        let (name, form) = match &mapped {
            Some((name, form)) => (*name, form),
            None => (label, form),
        };
        let exact = model.iter().position(|other| other == name);
        // Two model labels of one form are told apart by their exact names or not at all.
        let mut alike = (0..model.len()).filter(|place| model_forms[*place] == *form);
        let first = alike.next();
        exact.or_else(|| first.filter(|_| alike.next().is_none()))
    };
    let places: Vec<Option<usize>> = data.iter().zip(&data_forms).map(place).collect();
    let missing: Vec<String> = data
        .iter()
        .zip(&places)
        .filter(|(_, place)| place.is_none())
        .map(|(label, _)| map.get(label).unwrap_or(label).clone())
        .collect();
    if !missing.is_empty() {
        return Err(format!("the model has no label {}{}", list(&missing), hint(data, model)));
    }
    let places: Vec<usize> = places.into_iter().flatten().collect();
    for (at, place) in places.iter().enumerate() {
        if let Some(before) = places[..at].iter().position(|other| other == place) {
            let two = list(&[data[before].clone(), data[at].clone()]);
            return Err(format!("the data's {two} mean the same label of the model"));
        }
    }
    Ok(places)
}

/// What helps where names say nothing.
fn hint(data: &[String], model: &[String]) -> &'static str {
    let nameless = |labels: &[String]| labels.iter().all(|name| names::is_nameless(name));
    match (nameless(data), nameless(model)) {
        (_, true) => "; the model's labels have no names, so say with `label_map` what they mean",
        (true, false) => "; the data's labels have no names: give them as `labels`, in id order",
        _ => "; say with `label_map` what means the same",
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

    #[test]
    fn aliases_hold_within_their_family_only() {
        let none = BTreeMap::new();
        let classes =
            match_labels(&names(&["neg", "pos"]), &names(&["Positive", "NEGATIVE"]), &none);
        assert_eq!(classes.expect("sentiment").of_model, [Some(1), Some(0)]);
        let three = names(&["negative", "neutral", "positive"]);
        assert!(match_labels(&names(&["pos", "neutral", "neg"]), &three, &none).is_ok());
        // Beside a topic, `pos` is not `positive`.
        let topics = [names(&["pos", "tagging"]), names(&["positive", "tagging"])];
        assert!(match_labels(&topics[0], &topics[1], &none).is_err());
        assert!(
            match_labels(&names(&["supports", "sports"]), &names(&["entailment", "sports"]), &none)
                .is_err()
        );
    }

    /// Labels of data and model, a map, and words of the message.
    type Case = (
        &'static [&'static str],
        &'static [&'static str],
        &'static [(&'static str, &'static str)],
        &'static [&'static str],
    );

    /// What must be refused, and words that its message needs: the labels of both sides are there.
    #[test]
    fn what_does_not_fit_is_refused_with_both_sides() {
        let cases: [Case; 8] = [
            (&["negative", "positive"], &["LABEL_0", "LABEL_1"], &[], &["label_map", "no names"]),
            (&["negative", "positive"], &["0", "1"], &[], &["label_map", "no names"]),
            (&["0", "1"], &["NEGATIVE", "POSITIVE"], &[], &["`labels`"]),
            (&["a", "b"], &["a", "c"], &[], &["no label `b`"]),
            (&["a", "b"], &["A", "B"], &[("c", "A")], &["`label_map` maps `c`"]),
            (&["a", "b"], &["A", "B"], &[("a", "x")], &["no label `x`"]),
            (&["a", "A "], &["a", "b"], &[], &["`a`, `A `", "mean the same"]),
            (&["a b"], &["A_B", "a-b"], &[], &["no label `a b`"]),
        ];
        for (data, model, map, words) in cases {
            let map = map.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let error = match_labels(&names(data), &names(model), &map).expect_err("no match");
            let message = error.to_string();
            for word in words.iter().chain(data).chain(model) {
                assert!(message.contains(word), "{word}: {message}");
            }
        }
        let hostile = match_labels(&names(&["a\u{1b}[31m"]), &names(&["b"]), &BTreeMap::new());
        assert!(!hostile.expect_err("no match").to_string().contains('\u{1b}'));
    }
}
