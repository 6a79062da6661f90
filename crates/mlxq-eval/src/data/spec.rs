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
    /// `label text`: the columns `label`, up to the first space, and `text`.
    LabelText,
    /// Each line a text, the column `text`; the column `label` is the same line of
    /// [`FileSpec::labels_path`].
    Lines,
}

impl FileFormat {
    const NAMES: [(&str, Self); 6] = [
        ("csv", Self::Csv),
        ("tsv", Self::Tsv),
        ("jsonl", Self::Jsonl),
        ("parquet", Self::Parquet),
        ("label-text", Self::LabelText),
        ("lines", Self::Lines),
    ];

    /// The format that configurations call `name`.
    ///
    /// # Errors
    /// With the known names when there is none.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, format)| *format).ok_or_else(|| {
            let names = Self::NAMES.map(|(name, _)| name).join(", ");
            format!("format `{}` is none of {names}", name.escape_debug())
        })
    }

    /// Whether its columns are always called `text` and `label`.
    pub fn has_fixed_columns(self) -> bool {
        matches!(self, Self::LabelText | Self::Lines)
    }
}

/// How the bytes of a text file stand for letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8; anything else is an error.
    #[default]
    Utf8,
    /// ISO 8859-1: each byte is the letter of that number, so that every file can be read.
    Latin1,
}

impl Encoding {
    /// The encoding that configurations call `name`.
    ///
    /// # Errors
    /// With the known names when there is none.
    pub fn from_name(name: &str) -> Result<Self, String> {
        match name {
            "utf-8" | "utf8" => Ok(Self::Utf8),
            "latin-1" | "latin1" | "iso-8859-1" => Ok(Self::Latin1),
            _ => Err(format!("encoding `{}` is none of utf-8, latin-1", name.escape_debug())),
        }
    }
}

/// A column by its name or its 0-based position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnRef {
    /// By the name in the header.
    Name(String),
    /// By position.
    Index(usize),
}

/// Columns that make one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextColumns {
    /// The columns, in the order of the text.
    pub parts: Vec<ColumnRef>,
    /// What stands between two parts that are not blank; the ends of a joined text are trimmed. One
    /// part alone is taken as it is.
    pub separator: String,
}

impl From<ColumnRef> for TextColumns {
    fn from(column: ColumnRef) -> Self {
        Self { parts: vec![column], separator: " ".to_owned() }
    }
}

/// The columns a task reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    /// The text, or the first of a pair.
    pub text: TextColumns,
    /// The second text of a pair.
    pub text_pair: Option<TextColumns>,
    /// What the row is scored against.
    pub target: TargetColumn,
}

/// The column a row is scored against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetColumn {
    /// A class: a name or an id.
    Label(ColumnRef),
    /// Any number of classes, names or ids, with [`FileSpec::label_separator`] between them.
    Labels(ColumnRef),
    /// A graded score.
    Score(ColumnRef),
}

impl TargetColumn {
    /// Which column it is.
    pub fn column(&self) -> &ColumnRef {
        let (Self::Label(column) | Self::Labels(column) | Self::Score(column)) = self;
        column
    }
}

/// Which rows are used where fewer are asked for than there are. File order is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// The first usable ones.
    Head,
    /// Drawn without replacement by SplitMix64; where rows have one label each, the labels' shares are
    /// those of the file, to a row.
    Random {
        /// The generator's seed.
        seed: u64,
    },
}

impl Sampling {
    /// The seed where none is asked for.
    pub const SEED: u64 = 42;
}

impl Default for Sampling {
    fn default() -> Self {
        Self::Random { seed: Self::SEED }
    }
}

/// Local data files and how to read them.
#[derive(Debug, Clone, PartialEq)]
pub struct FileSpec {
    /// The file; a name ending in `.gz` or `.zst` is unpacked.
    pub path: PathBuf,
    /// Files written alike, whose rows follow: the other shards of a split.
    pub further: Vec<PathBuf>,
    /// The labels of [`FileFormat::Lines`], line for line.
    pub labels_path: Option<PathBuf>,
    /// How it is written; `None`: by its ending.
    pub format: Option<FileFormat>,
    /// How its bytes stand for letters; parquet and JSON are always UTF-8.
    pub encoding: Encoding,
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
    /// The id of the first label, where the file counts from another number than 0.
    pub first_id: usize,
    /// What stands between the labels of a cell that holds several.
    pub label_separator: String,
    /// The data's label text → the model's label name.
    pub label_map: BTreeMap<String, String>,
    /// Whether rows with an empty text are used too; else they are left out and counted.
    pub keep_empty: bool,
    /// At most this many rows; `None`: all.
    pub max_samples: Option<usize>,
    /// Which rows these are.
    pub sampling: Sampling,
}

impl FileSpec {
    /// The columns `columns` of the file at `path`, everything else as it is by default.
    pub fn new(path: PathBuf, columns: Columns) -> Self {
        Self {
            path,
            further: Vec::new(),
            labels_path: None,
            format: None,
            encoding: Encoding::Utf8,
            header: None,
            delimiter: None,
            quoting: None,
            columns,
            labels: None,
            first_id: 0,
            label_separator: ",".to_owned(),
            label_map: BTreeMap::new(),
            keep_empty: false,
            max_samples: None,
            sampling: Sampling::default(),
        }
    }
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
    /// 0-based row of the file (of all files, one after the other), header not counted: the row's
    /// stable id.
    pub id: usize,
    /// The text, or the first of a pair.
    pub text: String,
    /// The second text of a pair.
    pub text_pair: Option<String>,
    /// What it is scored against.
    pub target: Target,
}

/// The rows of data files, and what was left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    /// The rows asked for, in file order.
    pub rows: Vec<Row>,
    /// Label names in id order; empty for scores.
    pub labels: Vec<String>,
    /// Rows in the file, usable or not.
    pub rows_in_file: usize,
    /// Rows that could not be used, of all in the file: reason → how many.
    pub skipped: BTreeMap<String, usize>,
    /// The files read.
    pub files: Vec<HashedFile>,
    /// BLAKE3 of the content of `files`, in hexadecimal: of one file its own hash, of several the hash
    /// of their hashes, each with a line end.
    pub hash: String,
}

/// A file and what it held when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedFile {
    /// The file.
    pub path: PathBuf,
    /// BLAKE3 of its bytes as they lie, packed or not, in hexadecimal.
    pub blake3: String,
}
