//! An entry of `datasets` as it is written: names and types, nothing decided yet.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// An entry of `datasets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Entry {
    pub(super) provider: String,
    pub(super) name: Option<String>,
    pub(super) subset: Option<String>,
    #[serde(default)]
    pub(super) splits: BTreeMap<String, String>,
    pub(super) split: Option<String>,
    pub(super) threshold_split: Option<String>,
    #[serde(default)]
    pub(super) metrics: Vec<String>,
    #[serde(default)]
    pub(super) preprocessing: Preprocessing,
    pub(super) path: Option<String>,
    pub(super) labels_path: Option<String>,
    pub(super) format: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) header: Option<bool>,
    pub(super) delimiter: Option<String>,
    pub(super) quoting: Option<bool>,
    pub(super) columns: Option<Columns>,
    pub(super) labels: Option<Vec<String>>,
    #[serde(default)]
    pub(super) first_id: usize,
    pub(super) label_separator: Option<String>,
    #[serde(default)]
    pub(super) label_map: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) candidates: BTreeMap<String, String>,
    pub(super) template: Option<String>,
    #[serde(default)]
    pub(super) keep_empty: bool,
    pub(super) max_samples: Option<usize>,
    pub(super) sample: Option<String>,
    pub(super) seed: Option<u64>,
}

/// A data set's `preprocessing`. Rows are never padded here, so `padding` has no effect.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preprocessing {
    pub(super) max_length: Option<usize>,
    pub(super) truncation: Option<String>,
    #[serde(rename = "padding")]
    _padding: Option<String>,
    #[serde(rename = "cache_dir")]
    _cache_dir: Option<String>,
}

/// A data set's `columns`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Columns {
    pub(super) text: Option<OneOrMore>,
    pub(super) text_pair: Option<OneOrMore>,
    pub(super) separator: Option<String>,
    pub(super) label: Option<Column>,
    pub(super) labels: Option<Column>,
    pub(super) score: Option<Column>,
}

/// A column by its name or its 0-based position.
#[derive(Debug)]
pub(super) enum Column {
    Name(String),
    Index(usize),
}

/// A column, or a list of columns that are joined.
#[derive(Debug)]
pub(super) struct OneOrMore(pub(super) Vec<Column>);

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

impl<'de> Deserialize<'de> for Column {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ColumnVisitor)
    }
}

impl<'de> Deserialize<'de> for OneOrMore {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = OneOrMore;

            fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
                formatter.write_str("a column's name or its position, counted from 0, or a list")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<OneOrMore, E> {
                ColumnVisitor.visit_str(name).map(|column| OneOrMore(vec![column]))
            }

            fn visit_u64<E: Error>(self, index: u64) -> Result<OneOrMore, E> {
                ColumnVisitor.visit_u64(index).map(|column| OneOrMore(vec![column]))
            }

            fn visit_i64<E: Error>(self, index: i64) -> Result<OneOrMore, E> {
                ColumnVisitor.visit_i64(index).map(|column| OneOrMore(vec![column]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMore, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = list.next_element()? {
                    columns.push(column);
                }
                if columns.is_empty() {
                    Err(A::Error::custom("no columns"))
                } else {
                    Ok(OneOrMore(columns))
                }
            }
        }
        deserializer.deserialize_any(ListVisitor)
    }
}
