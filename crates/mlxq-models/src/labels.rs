//! The names of a classification head's outputs.

use serde_json::{Map, Value};

use crate::config::wrong;
use crate::{Config, ModelError};

/// The most labels a head may have.
const LIMIT: usize = 1 << 20;

/// The label names in id order, from `id2label`, checked against `num_labels` and `label2id`.
///
/// Where the configuration has no names they are `LABEL_0`, `LABEL_1` …, as in transformers;
/// `default` is their number where it has none either.
///
/// # Errors
/// When the ids are not 0 to n - 1, names are empty or equal, or the keys contradict each other.
pub fn read(config: Config, default: usize) -> Result<Vec<String>, ModelError> {
    let count = config.size("num_labels", 0, LIMIT)?;
    let Some(value) = config.get("id2label") else {
        let count = if count == 0 { default } else { count };
        return Ok((0..count).map(|id| format!("LABEL_{id}")).collect());
    };
    let names = in_id_order(value)?;
    if count != 0 && count != names.len() {
        let expected = format!("{}, the number of labels in `id2label`", names.len());
        return Err(wrong("num_labels", &Value::from(count), &expected));
    }
    if let Some(label2id) = config.get("label2id") {
        agrees(&names, label2id)?;
    }
    Ok(names)
}

fn in_id_order(value: &Value) -> Result<Vec<String>, ModelError> {
    let expected = "an object of distinct names with the keys 0, 1, … n - 1";
    let refuse = || wrong("id2label", value, expected);
    let map = value.as_object().filter(|map| !map.is_empty() && map.len() <= LIMIT);
    let map: &Map<String, Value> = map.ok_or_else(refuse)?;
    let mut names = vec![String::new(); map.len()];
    for (key, name) in map {
        let id = key.parse::<usize>().ok().filter(|id| *id < names.len()).ok_or_else(refuse)?;
        let name = name.as_str().filter(|name| !name.is_empty()).ok_or_else(refuse)?;
        names[id] = name.to_owned();
    }
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    if distinct.len() < names.len() || names.iter().any(String::is_empty) {
        return Err(refuse());
    }
    Ok(names)
}

fn agrees(names: &[String], label2id: &Value) -> Result<(), ModelError> {
    let agrees = label2id.as_object().is_some_and(|map| {
        let id_of = |name: &String| map.get(name).and_then(Value::as_u64);
        map.len() == names.len()
            && names.iter().enumerate().all(|(id, name)| id_of(name) == Some(id as u64))
    });
    if agrees { Ok(()) } else { Err(wrong("label2id", label2id, "the reverse of `id2label`")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn labels(config: &Value) -> Result<Vec<String>, String> {
        let map = config.as_object().expect("an object");
        read(Config::new(map), 2).map_err(|error| error.to_string())
    }

    #[test]
    fn names_come_in_id_order() {
        let config = json!({"id2label": {"1": "b", "10": "k", "0": "a", "2": "c", "3": "d", "4": "e",
            "5": "f", "6": "g", "7": "h", "8": "i", "9": "j"}});
        let names = labels(&config).expect("labels");
        assert_eq!(names.concat(), "abcdefghijk");
    }

    #[test]
    fn contradictions_are_refused() {
        for config in [
            json!({"id2label": {"0": "a", "2": "b"}}),
            json!({"id2label": {"0": "a", "1": "a"}}),
            json!({"id2label": {"0": "a", "1": ""}}),
            json!({"id2label": {"0": "a", "00": "b"}}),
            json!({"id2label": {}}),
            json!({"id2label": ["a"]}),
            json!({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}),
            json!({"id2label": {"0": "a", "1": "b"}, "num_labels": 3}),
        ] {
            let error = labels(&config).expect_err("refused");
            assert!(error.starts_with("config.json: `"), "{error}");
        }
    }
}
