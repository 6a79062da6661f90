//! JSON that is read strictly: a key that stands twice is an error, not a choice.

use std::cell::Cell;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::read::Input;
use crate::{CheckpointError, shown};

/// The largest JSON file that is read, in bytes: more than any tokenizer or index.
const LIMIT: u64 = 256 << 20;
/// The largest `config.json`, in bytes.
const CONFIG_LIMIT: u64 = 16 << 20;

/// The most values of a file: those of a million tensors. In memory a value takes many times its text.
const VALUE_LIMIT: usize = 8_000_000;

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
    parse_values(bytes, VALUE_LIMIT)
}

/// Parses strict JSON of at most `limit` values.
fn parse_values(bytes: &[u8], limit: usize) -> Result<Value, String> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err("begins with a byte order mark, which JSON does not allow".to_owned());
    }
    let budget = Cell::new(limit);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Strict(&budget).deserialize(&mut deserializer);
    parsed.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| error.to_string())
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

/// Reads a value in whose objects no key stands twice, and counts down the values that may follow.
#[derive(Clone, Copy)]
struct Strict<'b>(&'b Cell<usize>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        let refuse = || D::Error::custom("more values than any file of a model has");
        self.0.set(left.ok_or_else(refuse)?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
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
        while let Some(item) = items.next_element_seed(self)? {
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
            map.insert(key, entries.next_value_seed(self)?);
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
    fn values_are_counted() {
        let text = br#"{"a":[1,{"b":2}],"c":"d"}"#;
        assert!(parse_values(text, 6).is_ok());
        assert!(parse_values(text, 5).expect_err("one too many").contains("more values"));
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
