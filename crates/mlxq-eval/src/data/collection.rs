//! Retrieval: documents, queries, and which documents answer which query.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::table::{Cell, Record, Records, Table, hash_of};
use super::{ColumnRef, Encoding, HashedFile, Sampling, TextColumns, rows, sample};
use crate::EvalError;

/// Unknown ids that a message names.
const SHOWN: usize = 5;

/// The files of a collection and how to read them: the three-file shape of BEIR and MTEB, `_id`, `title`
/// and `text` of documents, `_id` and `text` of queries, `query-id`, `corpus-id` and `score` of
/// judgements. Each kind may lie in several files of any format with named columns.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectionSpec {
    /// The documents.
    pub documents: Vec<PathBuf>,
    /// The queries.
    pub queries: Vec<PathBuf>,
    /// The judgements.
    pub judgements: Vec<PathBuf>,
    /// The columns that make a document's text; `title` and `text` with a space by default.
    pub text: TextColumns,
    /// At most this many queries; `None`: all.
    pub max_samples: Option<usize>,
    /// Which queries these are.
    pub sampling: Sampling,
}

impl CollectionSpec {
    /// The collection in `folder`: `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` or, of a `split`,
    /// `qrels/SPLIT.tsv`; each may be packed (`.gz`, `.zst`).
    ///
    /// # Errors
    /// When one is not there.
    pub fn in_folder(folder: &Path, split: Option<&str>) -> Result<Self, EvalError> {
        let find = |names: &[String]| {
            let packed = ["", ".gz", ".zst"];
            let paths = names
                .iter()
                .flat_map(|name| packed.map(|ending| folder.join(format!("{name}{ending}"))));
            let found = paths.into_iter().find(|path| path.is_file()).map(|path| vec![path]);
            found.ok_or_else(|| {
                let what = names.join(" and no ");
                EvalError::file(folder, format!("is no collection: it has no {what}"))
            })
        };
        let mut judgements = vec!["qrels.tsv".to_owned()];
        judgements.extend(split.map(|split| format!("qrels/{split}.tsv")));
        Ok(Self {
            documents: find(&["corpus.jsonl".to_owned()])?,
            queries: find(&["queries.jsonl".to_owned()])?,
            judgements: find(&judgements)?,
            text: Self::default_text(),
            max_samples: None,
            sampling: Sampling::default(),
        })
    }

    /// `title` and `text` with a space between them.
    pub fn default_text() -> TextColumns {
        let parts = ["title", "text"].map(|name| ColumnRef::Name(name.to_owned())).to_vec();
        TextColumns { parts, separator: " ".to_owned() }
    }
}

/// A text that may be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its id in the files.
    pub id: String,
    /// Its text; may be empty.
    pub text: String,
}

/// A text that is looked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Its id in the files.
    pub id: String,
    /// 0-based row among the queries of the files: the query's stable id.
    pub row: usize,
    /// Its text.
    pub text: String,
}

/// What a document is worth to a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Index into [`Collection::documents`].
    pub document: usize,
    /// The grade; relevant above 0.
    pub grade: f64,
}

/// Documents, queries and judgements.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collection {
    /// All documents, in file order, those with an empty text too.
    pub documents: Vec<Document>,
    /// The queries asked for that have a relevant document, in file order.
    pub queries: Vec<Query>,
    /// The judgements of each query, in file order.
    pub judgements: Vec<Vec<Judgement>>,
    /// Queries in the files, usable or not.
    pub queries_in_file: usize,
    /// Queries that could not be used: reason → how many.
    pub skipped: BTreeMap<String, usize>,
    /// The files read.
    pub files: Vec<HashedFile>,
    /// BLAKE3 of the content of `files`, as [`super::Dataset::hash`].
    pub hash: String,
}

/// Reads a collection.
///
/// # Errors
/// When a file breaks its format, an id stands twice, a judgement names a document or a query that is not
/// there or is no finite number, or no query has a relevant document.
pub fn read_collection(spec: &CollectionSpec) -> Result<Collection, EvalError> {
    let mut files = Vec::new();
    let id = ColumnRef::Name("_id".to_owned());
    let text = TextColumns::from(ColumnRef::Name("text".to_owned()));
    let (documents, document_places) = texts(&spec.documents, &id, &spec.text, &mut files)?;
    let (queries, query_places) = texts(&spec.queries, &id, &text, &mut files)?;
    let judged = judgements(spec, &query_places, &document_places, &mut files)?;
    let mut collection = Collection {
        documents: documents.into_iter().map(|(id, text)| Document { id, text }).collect(),
        queries_in_file: queries.len(),
        hash: hash_of(&files),
        files,
        ..Collection::default()
    };
    for ((row, (id, text)), judgements) in queries.into_iter().enumerate().zip(judged) {
        let why = if !judgements.iter().any(|judgement| judgement.grade > 0.0) {
            "no relevant document"
        } else if text.is_empty() {
            "empty text"
        } else {
            collection.queries.push(Query { id, row, text });
            collection.judgements.push(judgements);
            continue;
        };
        *collection.skipped.entry(why.to_owned()).or_insert(0) += 1;
    }
    if collection.queries.is_empty() {
        let first = spec.judgements.first().map_or(Path::new(""), PathBuf::as_path);
        return Err(EvalError::file(first, "no query has a relevant document"));
    }
    if let Some(count) = spec.max_samples {
        let kept = sample::places(&vec![0; collection.queries.len()], count, spec.sampling);
        sample::keep(&mut collection.queries, &kept);
        sample::keep(&mut collection.judgements, &kept);
    }
    Ok(collection)
}

/// The records of all `paths`.
fn records(
    paths: &[PathBuf],
    columns: &[&ColumnRef],
    files: &mut Vec<HashedFile>,
) -> Result<Records, EvalError> {
    let mut all = Records::default();
    for path in paths {
        let table = Table {
            path,
            labels_path: None,
            format: None,
            encoding: Encoding::Utf8,
            header: Some(true),
            delimiter: None,
            quoting: None,
            columns: columns.to_vec(),
            label: None,
        };
        all.append(table.read(files)?, path)?;
    }
    Ok(all)
}

/// Texts with their ids, in file order.
type Texts = Vec<(String, String)>;
/// Where each id stands.
type Places = HashMap<String, usize>;

/// Texts with their ids, and where each id stands.
fn texts(
    paths: &[PathBuf],
    id: &ColumnRef,
    text: &TextColumns,
    files: &mut Vec<HashedFile>,
) -> Result<(Texts, Places), EvalError> {
    let columns: Vec<&ColumnRef> = std::iter::once(id).chain(&text.parts).collect();
    let mut records = records(paths, &columns, files)?;
    let mut texts = Vec::new();
    let mut places = HashMap::new();
    for (place, record) in std::mem::take(&mut records.records).into_iter().enumerate() {
        let refuse = |reason: String| EvalError::line(records.file(place), record.line, reason);
        let mut cells = record.cells.into_iter();
        let Some(id) = cells.next().and_then(id_of) else {
            return Err(refuse("the id is empty".to_owned()));
        };
        if places.insert(id.clone(), place).is_some() {
            return Err(refuse(format!("the id `{}` stands twice", id.escape_debug())));
        }
        let text = rows::joined(cells.collect(), &text.separator).unwrap_or_default();
        texts.push((id, text));
    }
    if texts.is_empty() {
        let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
        return Err(EvalError::file(first, "has no rows"));
    }
    Ok((texts, places))
}

fn id_of(cell: Cell) -> Option<String> {
    match cell {
        Cell::Text(text) | Cell::Number(_, text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// The judgements of each query.
fn judgements(
    spec: &CollectionSpec,
    queries: &Places,
    documents: &Places,
    files: &mut Vec<HashedFile>,
) -> Result<Vec<Vec<Judgement>>, EvalError> {
    let names = ["query-id", "corpus-id", "score"].map(|name| ColumnRef::Name(name.to_owned()));
    let mut records = records(&spec.judgements, &names.iter().collect::<Vec<_>>(), files)?;
    let mut judged: Vec<Vec<Judgement>> = vec![Vec::new(); queries.len()];
    let mut seen = HashSet::new();
    let mut unknown = Unknown::default();
    for (place, Record { line, cells }) in
        std::mem::take(&mut records.records).into_iter().enumerate()
    {
        let refuse = |reason: String| EvalError::line(records.file(place), line, reason);
        let [query, document, grade] = <[Cell; 3]>::try_from(cells)
            .map_err(|_| refuse("is shorter than its header".to_owned()))?;
        let grade = grade_of(&grade).map_err(refuse)?;
        let query = unknown.find(queries, query, "query", line);
        let document = unknown.find(documents, document, "document", line);
        let (Some(query), Some(document)) = (query, document) else { continue };
        if !seen.insert((query, document)) {
            return Err(refuse("judges a document and a query that were judged before".to_owned()));
        }
        judged[query].push(Judgement { document, grade });
    }
    let first = spec.judgements.first().map_or(Path::new(""), PathBuf::as_path);
    unknown.refuse(first).map(|()| judged)
}

fn grade_of(cell: &Cell) -> Result<f64, String> {
    let (number, text) = match cell {
        Cell::Null => (None, ""),
        Cell::Number(number, text) => (Some(*number), text.as_str()),
        Cell::Text(text) => (text.trim().parse().ok(), text.as_str()),
    };
    let finite = number.filter(|number: &f64| number.is_finite());
    finite.ok_or_else(|| format!("the score `{}` is no finite number", text.escape_debug()))
}

/// Judgements of what is not there.
#[derive(Default)]
struct Unknown {
    count: usize,
    first: Vec<String>,
}

impl Unknown {
    fn find(&mut self, places: &Places, cell: Cell, what: &str, line: u64) -> Option<usize> {
        let id = id_of(cell).unwrap_or_default();
        let found = places.get(&id).copied();
        if found.is_none() {
            self.count += 1;
            if self.first.len() < SHOWN {
                self.first.push(format!("{what} `{}` (line {line})", id.escape_debug()));
            }
        }
        found
    }

    fn refuse(self, path: &Path) -> Result<(), EvalError> {
        if self.count == 0 {
            return Ok(());
        }
        let first = self.first.join(", ");
        let reason = format!("{} judgements name what is not there: {first}", self.count);
        Err(EvalError::file(path, reason))
    }
}
