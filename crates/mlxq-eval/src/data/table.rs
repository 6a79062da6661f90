//! One data file as records of wanted cells, whatever its format.

use std::path::{Path, PathBuf};

use super::{ColumnRef, Encoding, FileFormat, HashedFile, delimited, jsonl, lines, open, parquet};
use crate::EvalError;

/// A file, how it is written, and what is wanted of it.
pub(super) struct Table<'a> {
    pub(super) path: &'a Path,
    pub(super) labels_path: Option<&'a Path>,
    pub(super) format: Option<FileFormat>,
    pub(super) encoding: Encoding,
    pub(super) header: Option<bool>,
    pub(super) delimiter: Option<u8>,
    pub(super) quoting: Option<bool>,
    /// The columns wanted, in the order of a record's cells.
    pub(super) columns: Vec<&'a ColumnRef>,
    /// The column whose label names the file may hold.
    pub(super) label: Option<&'a ColumnRef>,
}

/// The value of a column in one row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Null or absent.
    Null,
    /// A text.
    Text(String),
    /// A number, with its text.
    Number(f64, String),
}

/// The wanted cells of one row.
pub(super) struct Record {
    /// 1-based line or row in its file, for messages.
    pub(super) line: u64,
    /// In the order of [`Table::columns`].
    pub(super) cells: Vec<Cell>,
}

/// What is found in files of one form: the records in order, and label names if the files have them.
#[derive(Default)]
pub(super) struct Records {
    pub(super) records: Vec<Record>,
    pub(super) label_names: Option<Vec<String>>,
    /// The files, each with the number of records up to its end.
    files: Vec<(PathBuf, usize)>,
}

impl Records {
    /// Those of one file.
    pub(super) fn of(records: Vec<Record>) -> Self {
        Self { records, ..Self::default() }
    }

    /// Puts what the file at `path` holds behind what there is.
    ///
    /// # Errors
    /// When the files have different label names.
    pub(super) fn append(&mut self, more: Self, path: &Path) -> Result<(), EvalError> {
        if !self.files.is_empty() && more.label_names != self.label_names {
            let reason = "has other label names than the files before it";
            return Err(EvalError::file(path, reason));
        }
        self.label_names = more.label_names;
        self.records.extend(more.records);
        self.files.push((path.to_owned(), self.records.len()));
        Ok(())
    }

    /// The file that the record at `place` is from.
    pub(super) fn file(&self, place: usize) -> &Path {
        let found = self.files.iter().find(|(_, end)| place < *end).or(self.files.last());
        found.map_or(Path::new(""), |(path, _)| path)
    }
}

impl Table<'_> {
    /// Reads the file and adds it, hashed, to `files`.
    pub(super) fn read(&self, files: &mut Vec<HashedFile>) -> Result<Records, EvalError> {
        let paths: Vec<&Path> = std::iter::once(self.path).chain(self.labels_path).collect();
        let state = || paths.iter().map(|path| open::regular(path)).collect::<Result<Vec<_>, _>>();
        let before = state()?;
        let format = self.format()?;
        if self.labels_path.is_some() && format != FileFormat::Lines {
            let reason = "labels in a file of their own need texts with `format: lines`";
            return Err(EvalError::file(self.path, reason));
        }
        let records = match format {
            FileFormat::Csv => delimited::read(self, b',', true)?,
            FileFormat::Tsv => delimited::read(self, b'\t', false)?,
            FileFormat::Jsonl => jsonl::read(self)?,
            FileFormat::Parquet => parquet::read(self)?,
            FileFormat::LabelText => lines::label_text(self)?,
            FileFormat::Lines => lines::parallel(self)?,
        };
        for path in &paths {
            files.push(HashedFile { path: (*path).to_owned(), blake3: open::blake3(path)? });
        }
        if state()? != before {
            return Err(EvalError::file(self.path, "has changed while it was read"));
        }
        Ok(records)
    }

    /// The format asked for, else by the file's ending, `.gz` and `.zst` not counted.
    fn format(&self) -> Result<FileFormat, EvalError> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        if self.labels_path.is_some() {
            return Ok(FileFormat::Lines);
        }
        let name = self.path.to_string_lossy().to_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        match Path::new(name).extension().and_then(|ending| ending.to_str()) {
            Some("csv") => Ok(FileFormat::Csv),
            Some("tsv" | "tab") => Ok(FileFormat::Tsv),
            Some("jsonl" | "ndjson") => Ok(FileFormat::Jsonl),
            Some("parquet") => Ok(FileFormat::Parquet),
            _ => Err(EvalError::file(
                self.path,
                "its ending names no format; give `format`: csv, tsv, jsonl, parquet, label-text \
                 or lines",
            )),
        }
    }
}

/// One hash for all files: of one file its own.
pub(super) fn hash_of(files: &[HashedFile]) -> String {
    match files {
        [file] => file.blake3.clone(),
        _ => {
            let mut all = blake3::Hasher::new();
            for file in files {
                all.update(file.blake3.as_bytes()).update(b"\n");
            }
            all.finalize().to_string()
        }
    }
}
