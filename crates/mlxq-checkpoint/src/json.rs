//! JSON that is read strictly: a key that stands twice is an error, not a choice.

use std::fmt;
use std::path::Path;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::read::Input;
use crate::{CheckpointError, shown};

/// The largest JSON file that is read, in bytes: more than any tokenizer or index.
const LIMIT: u64 = 256 << 20;
/// The largest `config.json`, in bytes.
const CONFIG_LIMIT: u64 = 16 << 20;

/// Reads the JSON file `path`, keys in their order.
///
/// # Errors
/// When it cannot be read, is no regular file, is larger than 256 MiB, or is no strict JSON: the
/// message has line and column.
pub fn read_file(path: &Path) -> Result<Value, CheckpointError> {
    read_within(path, LIMIT)
}

/// Reads the JSON file `path`, which must hold an object.
///
/// # Errors
/// As [`read_file`], and when it holds something else.
pub fn read_object(path: &Path) -> Result<Map<String, Value>, CheckpointError> {
    object(path, read_file(path)?)
}

/// Reads the object of the `config.json` at `path`.
///
/// # Errors
/// As [`read_object`]; the file may have 16 MiB.
pub fn read_config(path: &Path) -> Result<Map<String, Value>, CheckpointError> {
    object(path, read_within(path, CONFIG_LIMIT)?)
}

fn read_within(path: &Path, limit: u64) -> Result<Value, CheckpointError> {
    let input = Input::open(path)?;
    if input.length() > limit {
        return Err(input.refuse(format!("is larger than {limit} bytes")));
    }
    parse(&input.read_range(0..input.length())?).map_err(|reason| input.refuse(reason))
}

fn object(path: &Path, value: Value) -> Result<Map<String, Value>, CheckpointError> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(CheckpointError::file(path, format!("holds {}, not an object", kind(&other)))),
    }
}

/// Parses strict JSON.
///
/// # Errors
/// The reason with line and column.
pub fn parse(bytes: &[u8]) -> Result<Value, String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("begins with a byte order mark, which JSON does not allow".to_owned());
    }
    serde_json::from_slice::<Strict>(bytes)
        .map(|strict| strict.0)
        .map_err(|error| error.to_string())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A JSON value in whose objects no key stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("number is not finite"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("key `{}` stands twice", shown(&key))));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_values_survive() {
        let text = r#"{"b":[1,-2,0.5,null,true,"x"],"a":{"c":{}}}"#;
        assert_eq!(parse(text.as_bytes()).expect("JSON").to_string(), text);
    }

    #[test]
    fn what_is_not_strict_is_refused_with_its_place() {
        for (text, word) in [
            ("", "empty"),
            ("{\"a\":1,\n\"a\":2}", "key `a` stands twice at line 2"),
            ("{\"x\":{\"a\":1,\"a\":1}}", "stands twice"),
            ("\u{feff}{}", "byte order mark"),
            ("{} x", "line 1 column 4"),
            ("[NaN]", "line 1 column 2"),
            ("{\"a\":\"\\ud800\"}", "line 1"),
            (&"[".repeat(200_000), "recursion limit"),
        ] {
            let error = parse(text.as_bytes()).expect_err("refused");
            assert!(error.contains(word), "{error}");
        }
    }
}
