//! Data files: each format gives records of cells, one place turns them into rows.

mod collection;
mod delimited;
mod jsonl;
mod lines;
mod open;
mod parquet;
mod rows;
mod sample;
mod spec;
mod table;
mod targets;
mod warnings;

pub use collection::{Collection, CollectionSpec, Document, Judgement, Query, read_collection};
pub use spec::{
    ColumnRef, Columns, Dataset, Encoding, FileFormat, FileSpec, HashedFile, Row, Sampling, Target,
    TargetColumn, TextColumns,
};

use crate::EvalError;
use table::{Records, Table};

/// Reads the data files that `spec` describes.
///
/// # Errors
/// When one cannot be read, a row breaks the format, a label is unknown, or no row can be used.
pub fn read(spec: &FileSpec) -> Result<Dataset, EvalError> {
    let texts = [Some(&spec.columns.text), spec.columns.text_pair.as_ref()];
    let mut columns: Vec<&ColumnRef> =
        texts.into_iter().flatten().flat_map(|text| &text.parts).collect();
    columns.push(spec.columns.target.column());
    let mut all = Records::default();
    let mut files = Vec::new();
    for path in std::iter::once(&spec.path).chain(&spec.further) {
        let table = Table {
            path,
            labels_path: spec.labels_path.as_deref(),
            format: spec.format,
            encoding: spec.encoding,
            header: spec.header,
            delimiter: spec.delimiter,
            quoting: spec.quoting,
            columns: columns.clone(),
            label: (!matches!(spec.columns.target, TargetColumn::Score(_)))
                .then(|| spec.columns.target.column()),
        };
        let records = table.read(&mut files)?;
        all.append(records, path)?;
    }
    let mut dataset = rows::build(spec, all)?;
    dataset.hash = table::hash_of(&files);
    dataset.files = files;
    Ok(dataset)
}
