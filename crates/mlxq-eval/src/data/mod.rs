//! Data files: each format gives records of cells, one place turns them into rows.

mod delimited;
mod jsonl;
mod open;
mod parquet;
mod rows;
mod spec;

use std::path::Path;

pub use spec::{ColumnRef, Columns, Dataset, FileFormat, FileSpec, Row, Target, TargetColumn};

use crate::EvalError;

/// The value of a column in one row.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    /// Null or absent.
    Null,
    /// A text.
    Text(String),
    /// A number, with its text.
    Number(f64, String),
}

/// The wanted cells of one row.
struct Record {
    /// 1-based line or row in the file, for messages.
    line: u64,
    /// Text, second text if wanted, target.
    cells: Vec<Cell>,
}

/// What a format's reader finds: the records in file order, and label names if the file has them.
struct Records {
    records: Vec<Record>,
    label_names: Option<Vec<String>>,
}

/// Reads the data file that `spec` describes.
///
/// # Errors
/// When it cannot be read, a row breaks the format, a label is unknown, or no row can be used.
pub fn read(spec: &FileSpec) -> Result<Dataset, EvalError> {
    let before = open::regular(&spec.path)?;
    let records = match format_of(spec)? {
        FileFormat::Csv => delimited::read(spec, b',', true)?,
        FileFormat::Tsv => delimited::read(spec, b'\t', false)?,
        FileFormat::Jsonl => jsonl::read(spec)?,
        FileFormat::Parquet => parquet::read(spec)?,
    };
    if open::regular(&spec.path)? != before {
        return Err(EvalError::file(&spec.path, "has changed while it was read"));
    }
    rows::build(spec, records)
}

/// The columns wanted: text, second text if any, target.
fn wanted(spec: &FileSpec) -> Vec<&ColumnRef> {
    let Columns { text, text_pair, target } = &spec.columns;
    let (TargetColumn::Label(target) | TargetColumn::Labels(target) | TargetColumn::Score(target)) =
        target;
    [Some(text), text_pair.as_ref(), Some(target)].into_iter().flatten().collect()
}

/// The format asked for, else by the file's ending, `.gz` not counted.
fn format_of(spec: &FileSpec) -> Result<FileFormat, EvalError> {
    if let Some(format) = spec.format {
        return Ok(format);
    }
    let name = spec.path.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match Path::new(name).extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(FileFormat::Csv),
        Some("tsv" | "tab") => Ok(FileFormat::Tsv),
        Some("jsonl" | "ndjson") => Ok(FileFormat::Jsonl),
        Some("parquet") => Ok(FileFormat::Parquet),
        _ => Err(EvalError::file(
            &spec.path,
            "its ending names no format; give `format`: csv, tsv, jsonl or parquet",
        )),
    }
}
