//! Typed access to `config.json`, with the limits that keep a hostile one harmless.

use serde_json::{Map, Value};

use crate::{Activation, ModelError};

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

    /// An integer from 0 to `limit`, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn count(&self, key: &str, default: usize, limit: usize) -> Result<usize, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let count = value.as_u64().filter(|count| *count <= limit as u64);
        count
            .map(|count| count as usize)
            .ok_or_else(|| wrong(key, value, &format!("an integer from 0 to {limit}")))
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

    /// A flag, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        value.as_bool().ok_or_else(|| wrong(key, value, "true or false"))
    }

    /// An integer that may be negative, from -2^31 to 2^31 - 1, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else.
    pub fn integer(&self, key: &str, default: i64) -> Result<i64, ModelError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let integer = value.as_i64().filter(|integer| i32::try_from(*integer).is_ok());
        integer.ok_or_else(|| wrong(key, value, "an integer of 32 bits"))
    }

    /// A token id below `vocabulary`, or `default` where the key is absent.
    ///
    /// # Errors
    /// When the value is something else, null among it: the computation needs the token.
    pub fn token(&self, key: &str, default: u32, vocabulary: usize) -> Result<u32, ModelError> {
        let Some(value) = self.map.get(key) else {
            return Ok(default);
        };
        let id = value.as_u64().filter(|id| *id < vocabulary as u64);
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| wrong(key, value, &format!("a token id below {vocabulary}")))
    }

    /// The activation function that `key` names, or that `default` does where the key is absent.
    ///
    /// # Errors
    /// When it is none of transformers', or one with weights of its own.
    pub fn activation(&self, key: &str, default: &'static str) -> Result<Activation, ModelError> {
        let name = self.text(key, default)?;
        Activation::from_name(name).ok_or_else(|| unsupported(key, &Value::from(name)))
    }

    /// A number of attention heads, which must divide `width`, the value of `width_key`; `default`
    /// where the key is absent.
    ///
    /// # Errors
    /// When it is something else.
    pub fn heads(
        &self,
        key: &str,
        default: usize,
        (width_key, width): (&str, usize),
    ) -> Result<usize, ModelError> {
        let heads = self.size(key, default, 1 << 12)?;
        if width.is_multiple_of(heads) {
            return Ok(heads);
        }
        Err(ModelError::Setting {
            key: key.to_owned(),
            found: heads.to_string(),
            expected: format!("a divisor of `{width_key}` = {width}"),
        })
    }

    /// The first of `keys` that is present, else the first: names of one setting, of which transformers
    /// takes any.
    ///
    /// # Errors
    /// When several are present and disagree.
    pub fn present<'k>(&self, keys: &[&'k str]) -> Result<&'k str, ModelError> {
        let mut present = keys.iter().filter_map(|key| Some((*key, self.get(key)?)));
        let Some((first, value)) = present.next() else {
            return Ok(keys[0]);
        };
        match present.find(|(_, other)| *other != value) {
            Some((key, other)) => Err(wrong(key, other, &format!("{value}, as `{first}` has it"))),
            None => Ok(first),
        }
    }

    /// The objects at `keys` of the object at `key`, as far as there are any.
    ///
    /// # Errors
    /// When the value is something else, or holds other keys.
    pub fn objects<const N: usize>(
        &self,
        key: &str,
        keys: [&str; N],
    ) -> Result<[Option<Config<'a>>; N], ModelError> {
        let Some(value) = self.get(key) else {
            return Ok([None; N]);
        };
        let expected = || wrong(key, value, &format!("objects under `{}`", keys.join("` and `")));
        let map = value.as_object().ok_or_else(expected)?;
        if map.keys().any(|found| !keys.contains(&found.as_str())) {
            return Err(expected());
        }
        let mut objects = [None; N];
        for (object, key) in objects.iter_mut().zip(keys) {
            *object = match map.get(key).filter(|value| !value.is_null()) {
                Some(value) => Some(Self { map: value.as_object().ok_or_else(expected)? }),
                None => None,
            };
        }
        Ok(objects)
    }

    /// Refuses what makes an encoder something else: a decoder's mask or cross-attention, and the
    /// relative positions that transformers has dropped from the BERT family.
    ///
    /// # Errors
    /// When one of these settings is on.
    pub fn refuse_other_than_encoder(&self) -> Result<(), ModelError> {
        self.refuse_unless("is_decoder", &Value::Bool(false))?;
        self.refuse_unless("add_cross_attention", &Value::Bool(false))?;
        self.refuse_unless("position_embedding_type", &Value::from("absolute"))
    }

    /// Accepts `key` only when it is absent or equal to `only`: other values change the computation.
    ///
    /// # Errors
    /// When it has another value.
    pub fn refuse_unless(&self, key: &str, only: &Value) -> Result<(), ModelError> {
        match self.get(key) {
            Some(value) if value != only => Err(unsupported(key, value)),
            _ => Ok(()),
        }
    }
}

/// The error of a `value` at `key` that changes the computation in a way that no model here has.
pub(crate) fn unsupported(key: &str, value: &Value) -> ModelError {
    let value = mlxq_checkpoint::shown(&value.to_string()).to_string();
    ModelError::Unsupported { key: key.to_owned(), value }
}

/// The error of a `value` at `key` that is not `expected`.
pub(crate) fn wrong(key: &str, value: &Value, expected: &str) -> ModelError {
    ModelError::Setting {
        key: key.to_owned(),
        found: format!("`{}`", mlxq_checkpoint::shown(&value.to_string())),
        expected: expected.to_owned(),
    }
}
