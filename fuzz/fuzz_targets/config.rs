//! A `config.json` or an index of shards: everything that is read from it returns, and says the same
//! twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mlxq_checkpoint::{fuzzing, json};
use mlxq_models::{Config, describe, labels};
use serde_json::Value;

fn read(bytes: &[u8]) -> String {
    let found = fuzzing::config(bytes);
    let Ok(Value::Object(map)) = json::parse(bytes) else { return found };
    let config = Config::new(&map);
    let model_type = map.get("model_type").and_then(Value::as_str).unwrap_or("bert");
    format!("{found} {:?} {:?}", describe(model_type, config), labels::read(config))
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(read(bytes), read(bytes));
});
