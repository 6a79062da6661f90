//! What was done with label names, and whether the answers speak against it.

use mlxq_eval::gate::no_better_than_majority;
use mlxq_eval::labels::{Suspicion, suspect_order};
use mlxq_eval::metric::Confusion;
use serde_json::{Map, Value, json};

use crate::task::{Answers, Labelled, References};

/// Above this number of classes a record has no table of counts.
const TABLE_CLASSES: usize = 30;

/// What a record keeps of the labels of one side, and a warning if their order looks wrong or the answers
/// are no better than always giving the most frequent label.
pub(in crate::exec) struct LabelCheck {
    /// Keys of the record.
    pub(in crate::exec) record: Map<String, Value>,
    /// What the user should know.
    pub(in crate::exec) warning: Option<String>,
}

/// Looks at the answers of one side, the baseline's; `None` where they are no labels. `labels` are the
/// data's.
pub(in crate::exec) fn check(
    answers: &Answers,
    references: &References,
    labels: &[String],
) -> Option<LabelCheck> {
    let (Answers::Labels(labelled), References::Labels(gold)) = (answers, references) else {
        return None;
    };
    let classes = &labelled.classes;
    let names = class_names(labelled, labels);
    let gold: Vec<usize> = gold.iter().map(|label| classes.of_data[*label]).collect();
    let said: Vec<_> = (0..gold.len()).map(|row| labelled.class(row)).collect();
    let suspicion = suspect_order(names.len(), &gold, &said);
    let map = |labels: &[String], classes: &mut dyn Iterator<Item = Option<usize>>| -> Value {
        let pairs = labels.iter().cloned().zip(classes);
        pairs
            .map(|(label, class)| (label, json!(class.map(|class| &names[class]))))
            .collect::<Map<_, _>>()
            .into()
    };
    let mut record = Map::new();
    let of_data = &mut classes.of_data.iter().copied().map(Some);
    record.insert("data_labels".to_owned(), map(labels, of_data));
    let of_model = &mut classes.of_model.iter().copied();
    record.insert("model_labels".to_owned(), map(&labelled.names, of_model));
    record.insert("fold".to_owned(), json!(classes.fold));
    if names.len() <= TABLE_CLASSES {
        record.insert("confusion".to_owned(), confusion(&names, &gold, &said));
    }
    record.insert("suspicion".to_owned(), suspicion.as_ref().map_or(Value::Null, in_words));
    let warning = match suspicion {
        Some(suspicion) => Some(suspicion.message(&names)),
        None => no_better_than_majority(&Confusion::count(names.len(), &gold, &said)),
    };
    Some(LabelCheck { record, warning })
}

/// Names of the classes scored: the data's where it has one for the class, else the model's.
fn class_names(labelled: &Labelled, labels: &[String]) -> Vec<String> {
    let classes = &labelled.classes;
    let name = |class: usize| {
        let mut of_data = (0..labels.len()).filter(|label| classes.of_data[*label] == class);
        let first = of_data.next();
        let only = first.filter(|_| of_data.next().is_none());
        let of_model = classes.of_model.iter().position(|place| *place == Some(class));
        match (only, of_model) {
            (Some(label), _) => labels[label].clone(),
            (None, Some(label)) => labelled.names[label].clone(),
            (None, None) => class.to_string(),
        }
    };
    (0..labelled.count()).map(name).collect()
}

/// Rows by what is right (outer) and what was said (inner, the last for labels that are not scored).
fn confusion(names: &[String], gold: &[usize], said: &[Option<usize>]) -> Value {
    let mut counts = vec![vec![0usize; names.len() + 1]; names.len()];
    for (gold, said) in gold.iter().zip(said) {
        counts[*gold][said.unwrap_or(names.len())] += 1;
    }
    json!({"classes": names, "counts": counts})
}

fn in_words(suspicion: &Suspicion) -> Value {
    json!({
        "accuracy": suspicion.accuracy,
        "best_permutation": suspicion.permutation,
        "accuracy_with_best_permutation": suspicion.best_accuracy,
        "below_chance": suspicion.below_chance,
        "applied": false,
    })
}

#[cfg(test)]
mod tests {
    use mlxq_eval::labels::Classes;

    use super::*;

    /// 60 rows of one label and 40 of the other: answers that are always the first show nothing.
    #[test]
    fn answers_that_are_always_the_same_are_told() {
        let labels = ["no", "yes"].map(str::to_owned).to_vec();
        let gold: Vec<usize> = (0..100).map(|row| usize::from(row >= 60)).collect();
        let warning = |said: Vec<usize>| {
            let of_model = vec![Some(0), Some(1)];
            let classes = Classes { of_data: vec![0, 1], of_model, fold: None };
            let scores = vec![vec![0.0, 0.0]; said.len()];
            let labelled = Labelled { classes, names: labels.clone(), said, scores };
            let check =
                check(&Answers::Labels(labelled), &References::Labels(gold.clone()), &labels);
            check.expect("labels").warning
        };
        let words = warning(vec![0; 100]).expect("a warning");
        assert!(words.contains("no clear gain over always giving the most frequent"), "{words}");
        assert_eq!(warning(gold.clone()), None);
    }
}
