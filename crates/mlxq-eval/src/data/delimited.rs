//! Comma- and tab-separated files and their kin.

use std::io::{BufRead, Read};

use csv::{ByteRecord, ReaderBuilder};

use super::open::{self, Lines};
use super::{Cell, ColumnRef, FileSpec, Record, Records, wanted};
use crate::EvalError;

const COLUMN_LIMIT: usize = 4096;

/// Reads the file with that delimiter and quoting unless `spec` has its own.
pub(super) fn read(spec: &FileSpec, delimiter: u8, quoting: bool) -> Result<Records, EvalError> {
    let delimiter = spec.delimiter.unwrap_or(delimiter);
    let records = if spec.quoting.unwrap_or(quoting) {
        quoted(spec, delimiter)?
    } else {
        plain(spec, delimiter)?
    };
    Ok(Records { records, label_names: None })
}

/// Where the wanted columns stand.
struct Places {
    wanted: Vec<usize>,
    /// The number of fields of the header, which every row must have; `None` without a header.
    fields: Option<usize>,
}

impl Places {
    /// From the first line's fields, if it is a header.
    fn find(spec: &FileSpec, header: Option<Vec<String>>) -> Result<Self, EvalError> {
        let refuse = |reason: String| EvalError::line(&spec.path, 1, reason);
        if let Some(header) = &header {
            for (place, name) in header.iter().enumerate() {
                if header[..place].contains(name) {
                    return Err(refuse(format!("the header has the column `{name}` twice")));
                }
            }
        }
        let place = |column: &ColumnRef| match (column, &header) {
            (ColumnRef::Index(place), _) => Ok(*place),
            (ColumnRef::Name(name), Some(header)) => {
                header.iter().position(|other| other == name).ok_or_else(|| {
                    refuse(format!("there is no column `{name}`; there are {}", header.join(", ")))
                })
            }
            (ColumnRef::Name(name), None) => {
                Err(refuse(format!("the column `{name}` needs a header, and `header` is false")))
            }
        };
        let wanted = wanted(spec).into_iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self { wanted, fields: header.map(|header| header.len()) })
    }

    fn record<'f>(
        &self,
        spec: &FileSpec,
        line: u64,
        count: usize,
        field: impl Fn(usize) -> Option<&'f str>,
    ) -> Result<Record, EvalError> {
        let refuse = |reason: String| EvalError::line(&spec.path, line, reason);
        if count > COLUMN_LIMIT || self.fields.is_some_and(|fields| fields != count) {
            let expected = self.fields.unwrap_or(COLUMN_LIMIT);
            return Err(refuse(format!("has {count} fields, expected {expected}")));
        }
        let cell = |place: &usize| match field(*place) {
            Some(text) => Ok(Cell::Text(text.to_owned())),
            None => Err(refuse(format!("has {count} fields, column {place} is wanted"))),
        };
        Ok(Record { line, cells: self.wanted.iter().map(cell).collect::<Result<_, _>>()? })
    }
}

/// Whether the first line names the columns.
fn has_header(spec: &FileSpec) -> bool {
    let named = || wanted(spec).iter().any(|column| matches!(column, ColumnRef::Name(_)));
    spec.header.unwrap_or_else(named)
}

/// Fields split at the delimiter and nowhere else.
fn plain(spec: &FileSpec, delimiter: u8) -> Result<Vec<Record>, EvalError> {
    let delimiter = char::from(delimiter);
    let mut lines = Lines::open(&spec.path)?;
    let header = match has_header(spec) {
        true => lines.next()?.map(|line| line.split(delimiter).map(str::to_owned).collect()),
        false => None,
    };
    let places = Places::find(spec, header)?;
    let mut records = Vec::new();
    while let Some(line) = lines.next()? {
        let fields: Vec<&str> = line.split(delimiter).collect();
        if fields != [""] {
            let field = |place: usize| fields.get(place).copied();
            records.push(places.record(spec, lines.line, fields.len(), field)?);
        }
    }
    Ok(records)
}

/// Fields quoted as RFC 4180 says, which may hold line ends.
fn quoted(spec: &FileSpec, delimiter: u8) -> Result<Vec<Record>, EvalError> {
    let mut source = open::bytes(&spec.path)?;
    open::check_encoding(&spec.path, source.fill_buf().map_err(EvalError::io(&spec.path))?)?;
    let ended = std::rc::Rc::new(std::cell::Cell::new(QuoteState::default()));
    let watched = Watched { source, state: std::rc::Rc::clone(&ended) };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(watched);
    let mut record = ByteRecord::new();
    let mut records = Vec::new();
    let mut places = None;
    loop {
        let more = reader.read_byte_record(&mut record);
        let line = record.position().map_or(1, csv::Position::line);
        let refuse = |reason: String| EvalError::line(&spec.path, line, reason);
        if !more.map_err(|error| refuse(error.to_string()))? {
            break;
        }
        let fields = texts(&record).map_err(refuse)?;
        if places.is_none() {
            let header = has_header(spec).then(|| fields.iter().map(|f| (*f).to_owned()).collect());
            let is_header = header.is_some();
            places = Some(Places::find(spec, header)?);
            if is_header {
                continue;
            }
        }
        if let Some(places) = &places {
            let field = |place: usize| fields.get(place).copied();
            records.push(places.record(spec, line, fields.len(), field)?);
        }
    }
    if ended.get().open {
        let line = records.last().map_or(1, |record| record.line);
        return Err(EvalError::line(&spec.path, line, "a quote is opened and never closed"));
    }
    Ok(records)
}

fn texts(record: &ByteRecord) -> Result<Vec<&str>, String> {
    let text = |(column, bytes): (usize, &'_ [u8])| {
        if bytes.len() > open::LINE_LIMIT || bytes.contains(&0) {
            return Err(format!("column {column} is too long or holds a NUL byte"));
        }
        Ok(())
    };
    record.iter().enumerate().try_for_each(text)?;
    let utf8 = |(column, bytes)| {
        std::str::from_utf8(bytes).map_err(|_| format!("column {column} is not UTF-8"))
    };
    record.iter().enumerate().map(utf8).collect()
}

/// Whether the bytes read so far end inside quotes: an odd number of `"`.
#[derive(Clone, Copy, Default)]
struct QuoteState {
    open: bool,
}

/// Counts quotes on their way to the reader, which takes an open quote to the end of the file.
struct Watched {
    source: Box<dyn BufRead>,
    state: std::rc::Rc<std::cell::Cell<QuoteState>>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        let quotes = buffer[..count].iter().filter(|byte| **byte == b'"').count();
        let open = self.state.get().open ^ (quotes % 2 == 1);
        self.state.set(QuoteState { open });
        Ok(count)
    }
}
