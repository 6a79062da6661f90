//! A configuration file as it is written: names and types, nothing decided yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, Visitor};
use serde_saphyr::Spanned;

use super::dataset::Entry;
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
    pub(super) datasets: BTreeMap<String, Spanned<Entry>>,
    /// A folder of the Hub's data sets' repositories, relative to the file.
    #[serde(default)]
    pub(super) mirror: Option<String>,
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
