//! What a data set is: where it lies, how it is written, which columns count.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// How a data file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Comma-separated, quoted as RFC 4180 says.
    Csv,
    /// Tab-separated, without quoting unless asked for (GLUE's habit).
    Tsv,
    /// One JSON object per line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

/// A column by its name or its 0-based position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRef {
    /// By the name in the header.
    Name(String),
    /// By position.
    Index(usize),
}

/// The columns a task reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The text, or the first of a pair.
    pub text: ColumnRef,
    /// The second text of a pair.
    pub text_pair: Option<ColumnRef>,
    /// What the row is scored against.
    pub target: TargetColumn,
}

/// The column a row is scored against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetColumn {
    /// A class: a name or an id.
    Label(ColumnRef),
    /// Any number of classes, names or ids, with commas between them.
    Labels(ColumnRef),
    /// A graded score.
    Score(ColumnRef),
}

/// One local data file and how to read it.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSpec {
    /// The file; a name ending in `.gz` is unpacked.
    pub path: PathBuf,
    /// How it is written; `None`: by its ending.
    pub format: Option<FileFormat>,
    /// Whether the first line names the columns; `None`: exactly when a column is given by name.
    pub header: Option<bool>,
    /// One byte between fields; `None`: by format.
    pub delimiter: Option<u8>,
    /// Whether `"` quotes fields; `None`: yes for csv, no for tsv.
    pub quoting: Option<bool>,
    /// The columns read.
    pub columns: Columns,
    /// Label names in id order, if the file holds ids or fixes the order; else read from the file.
    pub labels: Option<Vec<String>>,
    /// The data's label text → the model's label name.
    pub label_map: BTreeMap<String, String>,
    /// Whether rows with an empty text are used too; else they are left out and counted.
    pub keep_empty: bool,
    /// At most this many rows from the start; `None`: all.
    pub max_samples: Option<usize>,
}

/// What a row is scored against.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Index into [`Dataset::labels`].
    Label(usize),
    /// Indices into [`Dataset::labels`], each once, ascending.
    Labels(Vec<usize>),
    /// A graded score.
    Score(f64),
}

/// One usable row.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// 0-based row of the file, header not counted: the row's stable id.
    pub id: usize,
    /// The text, or the first of a pair.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// What it is scored against.
    pub target: Target,
}

/// The rows of a data file, and what was left out.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Usable rows in file order.
    pub rows: Vec<Row>,
    /// Label names in id order; empty for scores.
    pub labels: Vec<String>,
    /// Rows in the file, usable or not.
    pub rows_in_file: usize,
    /// Rows that could not be used: reason → how many.
    pub skipped: BTreeMap<String, usize>,
}
