//! Typed access to `config.json`, with the limits that keep a hostile one harmless.

use serde_json::{Map, Value};

use crate::ModelError;

/// A model's configuration.
#[derive(Debug, Clone, Copy)]
pub struct Config<'a> {
    map: &'a Map<String, Value>,
}

impl<'a> Config<'a> {
    /// The configuration in `map`, the object of a `config.json`.
    pub fn new(map: &'a Map<String, Value>) -> Self {
        Self { map }
    }

    /// The value at `key`, unless it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// An integer from 1 to `limit`, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn size(&self, key: &str, default: usize, limit: usize) -> Result<usize, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.filter(|size| (1..=limit).contains(size))
            .ok_or_else(|| wrong(key, value, &format!("an integer from 1 to {limit}")))
    }

    /// A positive, finite number, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn positive(&self, key: &str, default: f32) -> Result<f32, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let number = value.as_f64().map(|number| number as f32);
        number
            .filter(|number| number.is_finite() && *number > 0.0)
            .ok_or_else(|| wrong(key, value, "a positive number"))
    }

    /// A text, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn text(&self, key: &str, default: &'static str) -> Result<&'a str, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        value.as_str().ok_or_else(|| wrong(key, value, "a text"))
    }

    /// Accepts `key` only when it is absent or equal to `only`: other values change the computation.
    ///
    /// # Errors
    /// When it has another value.
    pub fn refuse_unless(&self, key: &str, only: &Value) -> Result<(), ModelError> {
        match self.get(key) {
            Some(value) if value != only => {
                Err(ModelError::Unsupported { key: key.to_owned(), value: value.to_string() })
            }
            _ => Ok(()),
        }
    }
}

/// The error of a `value` at `key` that is not `expected`.
pub(crate) fn wrong(key: &str, value: &Value, expected: &str) -> ModelError {
    ModelError::Setting {
        key: key.to_owned(),
        found: format!("`{}`", mlxq_checkpoint::shown(&value.to_string())),
        expected: expected.to_owned(),
    }
}
