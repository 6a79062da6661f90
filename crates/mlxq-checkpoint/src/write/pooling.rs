//! The Pooling module's settings in the union of the two forms that clients read.

use serde_json::{Map, Value};

/// Older flag and newer name of each mode, in sentence-transformers' order.
const MODES: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

/// `settings` with the keys of sentence-transformers 6 (`embedding_dimension`, `pooling_mode`,
/// `include_prompt`) and the older ones (`word_embedding_dimension` and a flag for each mode), which
/// Swift clients need. Other keys stay.
pub(crate) fn widened(settings: &Map<String, Value>) -> Map<String, Value> {
    let mut union = settings.clone();
    let names = modes(settings);
    let width = ["embedding_dimension", "word_embedding_dimension"];
    if let Some(size) = width.iter().find_map(|key| settings.get(*key)).cloned() {
        for key in width {
            union.insert(key.to_owned(), size.clone());
        }
    }
    for (flag, name) in MODES {
        union.insert(flag.to_owned(), names.iter().any(|mode| mode == name).into());
    }
    let mode = match names.as_slice() {
        [single] => Value::from(single.as_str()),
        several => several.into(),
    };
    union.entry("pooling_mode").or_insert(mode);
    union.entry("include_prompt").or_insert(Value::Bool(true));
    union
}

/// The one mode of a Pooling module's settings.
pub(crate) fn pooling_mode(settings: &Map<String, Value>) -> Option<String> {
    let [mode] = <[String; 1]>::try_from(modes(settings)).ok()?;
    Some(mode)
}

fn modes(settings: &Map<String, Value>) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match settings.get("pooling_mode") {
        Some(Value::Array(names)) => names.iter().filter_map(text).collect(),
        Some(name) => text(name).into_iter().collect(),
        None => {
            let on = |(flag, _): &&(&str, &str)| settings.get(*flag) == Some(&Value::Bool(true));
            MODES.iter().filter(on).map(|(_, name)| (*name).to_owned()).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn widen(settings: Value) -> Value {
        Value::Object(widened(settings.as_object().expect("an object")))
    }

    #[test]
    fn either_form_becomes_both() {
        let union = json!({
            "word_embedding_dimension": 4, "embedding_dimension": 4,
            "pooling_mode_cls_token": false, "pooling_mode_max_tokens": false,
            "pooling_mode_mean_tokens": true, "pooling_mode_mean_sqrt_len_tokens": false,
            "pooling_mode_weightedmean_tokens": false, "pooling_mode_lasttoken": false,
            "pooling_mode": "mean", "include_prompt": true,
        });
        let older = json!({"word_embedding_dimension": 4, "pooling_mode_mean_tokens": true});
        let newer = json!({"embedding_dimension": 4, "pooling_mode": "mean"});
        assert_eq!(widen(older), union);
        assert_eq!(widen(newer), union);
        assert_eq!(widen(union.clone()), union);
    }

    #[test]
    fn combinations_keep_their_order() {
        let union =
            widen(json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true}));
        assert_eq!(union["pooling_mode"], json!(["cls", "mean"]));
    }
}
