//! JSON lines: one object a line.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;

use super::open::Lines;
use super::table::{Cell, Record, Records, Table};
use super::{ColumnRef, Encoding};
use crate::EvalError;

/// Reads the file; blank lines are passed over.
pub(super) fn read(table: &Table) -> Result<Records, EvalError> {
    let mut lines = Lines::open(table.path, Encoding::Utf8)?;
    let mut records = Vec::new();
    while let Some(text) = lines.next()? {
        if text.trim().is_empty() {
            continue;
        }
        let line = lines.line;
        let refuse = |reason: String| EvalError::line(table.path, line, reason);
        let Object(object) =
            serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        let cells = table.columns.iter().map(|column| cell(&object, column));
        records.push(Record { line, cells: cells.collect::<Result<_, _>>().map_err(refuse)? });
    }
    Ok(Records::of(records))
}

fn cell(object: &HashMap<String, Value>, column: &ColumnRef) -> Result<Cell, String> {
    let ColumnRef::Name(name) = column else {
        return Err("columns of JSON lines are named, not numbered".to_owned());
    };
    match object.get(name) {
        Some(Value::Null) => Ok(Cell::Null),
        Some(Value::String(text)) => Ok(Cell::Text(text.clone())),
        Some(Value::Number(number)) if beyond_integers(number) => {
            Err(format!("`{name}` holds {number}, which is beyond integers of 64 bits"))
        }
        Some(Value::Number(number)) => {
            Ok(Cell::Number(number.as_f64().unwrap_or(f64::NAN), number.to_string()))
        }
        Some(other) => Err(format!("`{name}` holds {other}, expected a text or a number")),
        None => {
            let mut names: Vec<_> = object.keys().map(String::as_str).collect();
            names.sort_unstable();
            Err(format!("there is no key `{name}`; there are {}", names.join(", ").escape_debug()))
        }
    }
}

/// Whether a whole number was too large to be read as it stands.
fn beyond_integers(number: &serde_json::Number) -> bool {
    number.is_f64() && number.as_f64().is_some_and(|value| value.abs() >= 2_f64.powi(63))
}

/// A line's object, each key once: of two the last would win in silence.
struct Object(HashMap<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut object = HashMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if object.contains_key(&key) {
                        return Err(A::Error::custom(format!("the key `{key}` stands twice")));
                    }
                    object.insert(key, map.next_value()?);
                }
                Ok(Object(object))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}
