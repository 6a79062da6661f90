//! An entry of `datasets` checked.

use std::path::{Path, PathBuf};

use mlxq_eval::data::{
    CollectionSpec, ColumnRef, Columns, Encoding, FileFormat, FileSpec, Sampling, TargetColumn,
    TextColumns,
};

use super::entry::{self, Entry};
use super::{DatasetConfig, DatasetForm, DatasetSource};
use crate::config::Place;

/// The word for a folder of documents, queries and judgements among the formats.
const COLLECTION: &str = "collection";

impl DatasetConfig {
    /// From the entry `key` of the file at `place`; paths are relative to that file.
    ///
    /// # Errors
    /// With the reason when something is missing or does not go together.
    pub(in crate::config) fn read(key: &str, entry: Entry, place: Place) -> Result<Self, String> {
        if let Some(other) = entry.preprocessing.truncation.as_deref()
            && other != "longest_first"
        {
            return Err(format!("truncation `{other}` is not supported, only longest_first"));
        }
        if entry.max_samples == Some(0) {
            return Err("`max_samples` is 0".to_owned());
        }
        let is_collection = entry.format.as_deref() == Some(COLLECTION);
        Ok(Self {
            key: key.to_owned(),
            source: source(&entry, &place.file, is_collection)?,
            form: if is_collection { collection(&entry)? } else { rows(&entry, &place.file)? },
            split: entry.split,
            threshold_split: entry.threshold_split,
            metrics: entry.metrics,
            candidates: entry.candidates,
            template: entry.template,
            max_length: entry.preprocessing.max_length,
            lock: None,
            place,
        })
    }
}

/// Paths are relative to the file that names them.
fn relative(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn source(entry: &Entry, file: &Path, is_collection: bool) -> Result<DatasetSource, String> {
    match entry.provider.as_str() {
        "huggingface" => {
            if entry.path.is_some() || entry.labels_path.is_some() {
                return Err("`path` is for `provider: local`; the Hub has `name`".to_owned());
            }
            Ok(DatasetSource::Hub {
                name: entry.name.clone().ok_or("`name` is missing")?,
                subset: entry.subset.clone(),
                splits: entry.splits.clone(),
                mirror: None,
            })
        }
        "local" => match (&entry.path, entry.splits.is_empty()) {
            (Some(path), true) => {
                let asked = entry.split.as_ref().or(entry.threshold_split.as_ref());
                if let Some(split) = asked.filter(|_| !is_collection) {
                    return Err(format!("split `{split}` needs `splits`, not `path`"));
                }
                Ok(DatasetSource::Local(relative(file, path)))
            }
            (None, false) => {
                let paths = entry.splits.iter();
                let paths: std::collections::BTreeMap<String, PathBuf> =
                    paths.map(|(split, path)| (split.clone(), relative(file, path))).collect();
                for split in [&entry.split, &entry.threshold_split].into_iter().flatten() {
                    super::split_of(&paths, Some(split))?;
                }
                Ok(DatasetSource::Splits(paths))
            }
            (Some(_), false) => Err("`path` and `splits` exclude each other".to_owned()),
            (None, true) => Err("`path` is missing, or `splits`".to_owned()),
        },
        other => Err(format!("provider `{other}` is neither local nor huggingface")),
    }
}

fn collection(entry: &Entry) -> Result<DatasetForm, String> {
    let text = match &entry.columns {
        None => CollectionSpec::default_text(),
        Some(columns) => {
            let entry::Columns { text, separator, .. } = columns;
            texts(text.as_ref().ok_or("`columns` need `text`")?, separator.as_deref())
        }
    };
    Ok(DatasetForm::Collection { text, max_samples: entry.max_samples, sampling: sampling(entry)? })
}

fn rows(entry: &Entry, file: &Path) -> Result<DatasetForm, String> {
    let format = entry.format.as_deref().map(FileFormat::from_name).transpose()?;
    let fixed = format.is_some_and(FileFormat::has_fixed_columns) || entry.labels_path.is_some();
    if entry.labels_path.is_some() && !entry.splits.is_empty() {
        return Err("`labels_path` needs `path`, not `splits`".to_owned());
    }
    let delimiter = entry.delimiter.as_deref().map(|text| match text.as_bytes() {
        [byte] => Ok(*byte),
        b"\\t" => Ok(b'\t'),
        _ => Err(format!("delimiter `{}` is not one byte", text.escape_debug())),
    });
    let spec = FileSpec {
        labels_path: entry.labels_path.as_deref().map(|path| relative(file, path)),
        format,
        encoding: match &entry.encoding {
            Some(name) => Encoding::from_name(name)?,
            None => Encoding::default(),
        },
        header: entry.header,
        delimiter: delimiter.transpose()?,
        quoting: entry.quoting,
        labels: entry.labels.clone(),
        first_id: entry.first_id,
        label_map: entry.label_map.clone(),
        keep_empty: entry.keep_empty,
        max_samples: entry.max_samples,
        sampling: sampling(entry)?,
        ..FileSpec::new(PathBuf::new(), columns(entry.columns.as_ref(), fixed)?)
    };
    let label_separator = match entry.label_separator.as_deref() {
        Some("") => return Err("`label_separator` is empty".to_owned()),
        Some(separator) => separator.to_owned(),
        None => spec.label_separator.clone(),
    };
    refuse_repeated(spec.labels.as_deref().unwrap_or_default())?;
    Ok(DatasetForm::Rows(Box::new(FileSpec { label_separator, ..spec })))
}

fn refuse_repeated(labels: &[String]) -> Result<(), String> {
    let repeated = |(at, label): (usize, &String)| labels[..at].contains(label);
    match labels.iter().enumerate().position(repeated) {
        Some(at) => Err(format!("`labels` has `{}` twice", labels[at].escape_debug())),
        None => Ok(()),
    }
}

/// The columns; formats with fixed columns need none, since they have `text` and `label`.
fn columns(written: Option<&entry::Columns>, fixed: bool) -> Result<Columns, String> {
    let none = entry::Columns::default();
    let written = match written {
        Some(written) => written,
        None if fixed => &none,
        None => return Err("`columns` are missing".to_owned()),
    };
    let named = |name: &str| ColumnRef::Name(name.to_owned());
    let target = match (&written.label, &written.labels, &written.score) {
        (Some(label), None, None) => TargetColumn::Label(column(label)),
        (None, Some(labels), None) => TargetColumn::Labels(column(labels)),
        (None, None, Some(score)) => TargetColumn::Score(column(score)),
        (None, None, None) if fixed => TargetColumn::Label(named("label")),
        _ => return Err("`columns` need one of `label`, `labels` and `score`".to_owned()),
    };
    let separator = written.separator.as_deref();
    let text = match &written.text {
        Some(text) => texts(text, separator),
        None if fixed => named("text").into(),
        None => return Err("`columns` need `text`".to_owned()),
    };
    let text_pair = written.text_pair.as_ref().map(|text| texts(text, separator));
    Ok(Columns { text, text_pair, target })
}

fn column(column: &entry::Column) -> ColumnRef {
    match column {
        entry::Column::Name(name) => ColumnRef::Name(name.clone()),
        entry::Column::Index(index) => ColumnRef::Index(*index),
    }
}

fn texts(columns: &entry::OneOrMore, separator: Option<&str>) -> TextColumns {
    TextColumns {
        parts: columns.0.iter().map(column).collect(),
        separator: separator.unwrap_or(" ").to_owned(),
    }
}

fn sampling(entry: &Entry) -> Result<Sampling, String> {
    match (entry.sample.as_deref(), entry.seed) {
        (Some("head"), None) => Ok(Sampling::Head),
        (Some("head"), Some(_)) => Err("`sample: head` needs no `seed`".to_owned()),
        (None | Some("random"), seed) => {
            Ok(Sampling::Random { seed: seed.unwrap_or(Sampling::SEED) })
        }
        (Some(other), _) => Err(format!("`sample` is `{other}`, expected random or head")),
    }
}
