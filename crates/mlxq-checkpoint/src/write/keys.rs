//! Keys that clients read in an older form than transformers 5 writes.
//!
//! They are added where they are absent and never changed: without them mlx_lm takes defaults of its
//! own in silence, such as 10000 for `rope_theta`.

use serde_json::{Map, Value};

use crate::layout::{Key, KeyValue};

/// Adds the keys of a layout; `pooling` is the mode of `1_Pooling`, if the model has one.
pub(super) fn add_keys(config: &mut Map<String, Value>, keys: &[Key], pooling: Option<&str>) {
    for Key { name, value } in keys {
        match value {
            KeyValue::From(path) => {
                if let Some(found) = at(config, path).cloned() {
                    add(config, name, found);
                }
            }
            KeyValue::Json(text) => {
                if let Ok(value) = serde_json::from_str(text) {
                    add(config, name, value);
                }
            }
            KeyValue::PoolingMode => {
                if let Some(mode) = pooling {
                    config.insert((*name).to_owned(), mode.into());
                }
            }
        }
    }
}

/// Adds `rope_theta` and its like from `rope_parameters`, which may hold a set for each kind of
/// attention.
pub(super) fn add_rope_keys(config: &mut Map<String, Value>) {
    let Some(Value::Object(parameters)) = config.get("rope_parameters").cloned() else { return };
    let set = |kind: &str| parameters.get(kind).and_then(Value::as_object);
    if let Some(local) = set("sliding_attention").and_then(|local| local.get("rope_theta")) {
        add(config, "rope_local_base_freq", local.clone());
    }
    let global = set("full_attention").unwrap_or(&parameters);
    for key in ["rope_theta", "partial_rotary_factor"] {
        if let Some(value) = global.get(key) {
            add(config, key, value.clone());
        }
    }
    let kind = global.get("rope_type").and_then(Value::as_str).unwrap_or("default");
    if kind != "default" {
        let mut scaling = global.clone();
        for key in ["rope_theta", "partial_rotary_factor"] {
            scaling.remove(key);
        }
        scaling.insert("type".to_owned(), kind.into());
        add(config, "rope_scaling", Value::Object(scaling));
    }
}

/// Adds a key unless it is there.
fn add(config: &mut Map<String, Value>, key: &str, value: Value) {
    if config.get(key).is_none_or(Value::is_null) {
        config.insert(key.to_owned(), value);
    }
}

fn at<'c>(config: &'c Map<String, Value>, path: &[&str]) -> Option<&'c Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(config.get(*first)?, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_rope(parameters: Value) -> Value {
        let mut config = Map::new();
        config.insert("rope_parameters".to_owned(), parameters);
        add_rope_keys(&mut config);
        config.remove("rope_parameters");
        Value::Object(config)
    }

    #[test]
    fn rope_keys_are_those_of_transformers_4() {
        assert_eq!(
            with_rope(json!({"rope_theta": 5e5, "rope_type": "default"})),
            json!({"rope_theta": 5e5})
        );
        assert_eq!(
            with_rope(json!({"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0})),
            json!({"rope_theta": 5e5,
                   "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "type": "llama3"}})
        );
        let both = json!({"full_attention": {"rope_theta": 1e6, "rope_type": "default"},
                          "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"}});
        assert_eq!(with_rope(both), json!({"rope_local_base_freq": 1e4, "rope_theta": 1e6}));
    }

    #[test]
    fn what_is_there_stays() {
        let mut config = Map::new();
        config.insert("n_positions".to_owned(), json!(64));
        config.insert("n_ctx".to_owned(), json!(32));
        let keys = [Key::from("n_ctx", &["n_positions"]), Key::from("m", &["n_positions"])];
        add_keys(&mut config, &keys, None);
        assert_eq!(Value::Object(config), json!({"n_positions": 64, "n_ctx": 32, "m": 64}));
    }
}
