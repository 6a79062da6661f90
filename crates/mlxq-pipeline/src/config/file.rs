//! A configuration file as it is written: names and types, nothing decided yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};
use serde_saphyr::Spanned;

use super::gates::GateKeys;

/// The whole file. The keys below `cache_dir` occur in the original's files and mean nothing here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) models: Vec<Model>,
    #[serde(default)]
    pub(super) gates: Option<Spanned<GateKeys>>,
    #[serde(default)]
    pub(super) datasets: BTreeMap<String, Spanned<Dataset>>,
    #[serde(default, rename = "version")]
    _version: Option<u64>,
    #[serde(default)]
    pub(super) huggingface_cache: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub(super) cache_dir: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub(super) text_models: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub(super) vision_models: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub(super) audio_models: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    pub(super) multimodal_models: Option<Spanned<IgnoredAny>>,
    #[serde(default, rename = "phi-2")]
    pub(super) phi_2: Option<Spanned<IgnoredAny>>,
}

/// An entry of `models`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub(super) name: Spanned<Name>,
    #[serde(default)]
    pub(super) hf_name: Option<String>,
    #[serde(default)]
    pub(super) path: Option<String>,
    pub(super) task: Spanned<String>,
    #[serde(default)]
    pub(super) quantization: Option<Spanned<Quantization>>,
    #[serde(default)]
    pub(super) gates: Option<Spanned<GateKeys>>,
    #[serde(default)]
    pub(super) benchmarks: Vec<Spanned<String>>,
}

/// A model's `quantization`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quantization {
    pub(super) mode: Option<String>,
    pub(super) bits: Option<u32>,
    pub(super) group_size: Option<usize>,
    pub(super) dtype: Option<String>,
    pub(super) quant_predicate: Option<String>,
    #[serde(default)]
    pub(super) overrides: Vec<String>,
    pub(super) target_size_mb: Option<f64>,
    #[serde(rename = "readme_target_size_mb")]
    _readme_target_size_mb: Option<f64>,
    pub(super) max_accuracy_drop: Option<f64>,
    pub(super) min_speedup: Option<f64>,
    pub(super) size_gate: Option<String>,
}

/// An entry of `datasets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dataset {
    pub(super) provider: String,
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default, rename = "subset")]
    _subset: Option<String>,
    #[serde(default, rename = "splits")]
    _splits: BTreeMap<String, String>,
    #[serde(default, rename = "metrics")]
    _metrics: Vec<String>,
    #[serde(default)]
    pub(super) preprocessing: Preprocessing,
    #[serde(default)]
    pub(super) path: Option<String>,
    #[serde(default)]
    pub(super) format: Option<String>,
    #[serde(default)]
    pub(super) header: Option<bool>,
    #[serde(default)]
    pub(super) delimiter: Option<String>,
    #[serde(default)]
    pub(super) quoting: Option<bool>,
    #[serde(default)]
    pub(super) columns: Option<Columns>,
    #[serde(default)]
    pub(super) labels: Option<Vec<String>>,
    #[serde(default)]
    pub(super) label_map: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) keep_empty: bool,
    #[serde(default)]
    pub(super) max_samples: Option<usize>,
}

/// A data set's `preprocessing`. Rows are never padded here, so `padding` has no effect.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preprocessing {
    #[serde(default)]
    pub(super) max_length: Option<usize>,
    #[serde(default)]
    pub(super) truncation: Option<String>,
    #[serde(default, rename = "padding")]
    _padding: Option<String>,
    #[serde(default, rename = "cache_dir")]
    _cache_dir: Option<String>,
}

/// A data set's `columns`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    pub(super) text: Column,
    #[serde(default)]
    pub(super) text_pair: Option<Column>,
    #[serde(default)]
    pub(super) label: Option<Column>,
    #[serde(default)]
    pub(super) labels: Option<Column>,
    #[serde(default)]
    pub(super) score: Option<Column>,
}

/// A text that is not written like a number or a truth value: those are read differently by different
/// YAML parsers.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a name; quote what looks like a number or a truth value")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name(name.to_owned()))
            }
        }
        deserializer.deserialize_any(NameVisitor)
    }
}

/// A column by its name or its 0-based position.
#[derive(Debug)]
pub(super) enum Column {
    Name(String),
    Index(usize),
}

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ColumnVisitor;
        impl Visitor<'_> for ColumnVisitor {
            type Value = Column;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a column's name or its position, counted from 0")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Column, E> {
                Ok(Column::Name(name.to_owned()))
            }

            fn visit_u64<E: Error>(self, index: u64) -> Result<Column, E> {
                usize::try_from(index).map(Column::Index).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, index: i64) -> Result<Column, E> {
                usize::try_from(index).map(Column::Index).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(ColumnVisitor)
    }
}
