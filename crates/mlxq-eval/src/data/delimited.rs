//! Comma- and tab-separated files and their kin.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{BufRead, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use super::open::{self, Lines};
use super::table::{Cell as Value, Record, Records, Table};
use super::{ColumnRef, Encoding};
use crate::EvalError;

const COLUMN_LIMIT: usize = 4096;

/// Reads the file with that delimiter and quoting unless `table` has its own.
pub(super) fn read(table: &Table, delimiter: u8, quoting: bool) -> Result<Records, EvalError> {
    let delimiter = table.delimiter.unwrap_or(delimiter);
    let records = if table.quoting.unwrap_or(quoting) {
        quoted(table, delimiter)?
    } else {
        plain(table, delimiter)?
    };
    Ok(Records::of(records))
}

/// Where the wanted columns stand.
struct Places {
    wanted: Vec<usize>,
    /// The number of fields of the header, which every row must have; `None` without a header.
    fields: Option<usize>,
}

impl Places {
    /// From the first line's fields, if it is a header.
    fn find(table: &Table, header: Option<Vec<String>>) -> Result<Self, EvalError> {
        let refuse = |reason: String| EvalError::line(table.path, 1, reason);
        if let Some(header) = &header {
            for (place, name) in header.iter().enumerate() {
                if name.trim().is_empty() {
                    return Err(refuse(format!("the header has no name for column {place}")));
                }
                if header[..place].contains(name) {
                    return Err(refuse(format!("the header has the column `{name}` twice")));
                }
            }
        }
        let place = |column: &ColumnRef| match (column, &header) {
            (ColumnRef::Index(place), _) => Ok(*place),
            (ColumnRef::Name(name), Some(header)) => {
                header.iter().position(|other| other == name).ok_or_else(|| {
                    refuse(format!(
                        "there is no column `{name}`; there are {}",
                        header.join(", ").escape_debug()
                    ))
                })
            }
            (ColumnRef::Name(name), None) => {
                Err(refuse(format!("the column `{name}` needs a header, and `header` is false")))
            }
        };
        let wanted = table.columns.iter().map(|column| place(column)).collect::<Result<_, _>>()?;
        Ok(Self { wanted, fields: header.map(|header| header.len()) })
    }

    fn record<'f>(
        &self,
        table: &Table,
        line: u64,
        count: usize,
        field: impl Fn(usize) -> Option<&'f str>,
    ) -> Result<Record, EvalError> {
        let refuse = |reason: String| EvalError::line(table.path, line, reason);
        if count > COLUMN_LIMIT || self.fields.is_some_and(|fields| fields != count) {
            let expected = self.fields.unwrap_or(COLUMN_LIMIT);
            return Err(refuse(format!("has {count} fields, expected {expected}")));
        }
        let cell = |place: &usize| match field(*place) {
            Some(text) => Ok(Value::Text(text.to_owned())),
            None => Err(refuse(format!("has {count} fields, column {place} is wanted"))),
        };
        Ok(Record { line, cells: self.wanted.iter().map(cell).collect::<Result<_, _>>()? })
    }
}

/// Whether the first line names the columns.
fn has_header(table: &Table) -> bool {
    let named = || table.columns.iter().any(|column| matches!(column, ColumnRef::Name(_)));
    table.header.unwrap_or_else(named)
}

/// Fields split at the delimiter and nowhere else.
fn plain(table: &Table, delimiter: u8) -> Result<Vec<Record>, EvalError> {
    let delimiter = char::from(delimiter);
    let mut lines = Lines::open(table.path, table.encoding)?;
    let mut header = None;
    if has_header(table) {
        let Some(line) = lines.next()? else { return Ok(Vec::new()) };
        header = Some(line.split(delimiter).map(str::to_owned).collect());
    }
    let places = Places::find(table, header)?;
    let mut records = Vec::new();
    while let Some(line) = lines.next()? {
        let fields: Vec<&str> = line.split(delimiter).collect();
        if fields != [""] {
            let field = |place: usize| fields.get(place).copied();
            records.push(places.record(table, lines.line, fields.len(), field)?);
        }
    }
    Ok(records)
}

/// Fields quoted as RFC 4180 says, which may hold line ends.
fn quoted(table: &Table, delimiter: u8) -> Result<Vec<Record>, EvalError> {
    let mut source = open::bytes(table.path)?;
    open::check_encoding(table.path, source.fill_buf().map_err(EvalError::io(table.path))?)?;
    let since_row = Rc::new(Cell::new(0));
    let limited = RowLimit { source: source.chain(END), since_row: Rc::clone(&since_row) };
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(limited);
    let mut record = ByteRecord::new();
    let mut records = Vec::new();
    let mut places = None;
    loop {
        let line = reader.position().line();
        let more = reader.read_byte_record(&mut record);
        let line = record.position().map_or(line, csv::Position::line);
        let refuse = |reason: String| EvalError::line(table.path, line, reason);
        let more = more.map_err(|error| refuse(error.to_string()))?;
        since_row.set(0);
        if !more || record.iter().eq([&END[1..]]) {
            return Ok(records);
        }
        if record.iter().next_back().is_some_and(|field| field.ends_with(END)) {
            return Err(refuse("a quote is opened and never closed".to_owned()));
        }
        let fields = texts(&record, table.encoding).map_err(refuse)?;
        let Some(places) = &places else {
            let header =
                has_header(table).then(|| fields.iter().map(|f| f.clone().into_owned()).collect());
            let is_header = header.is_some();
            let found = Places::find(table, header)?;
            if !is_header {
                records.push(
                    found.record(table, line, fields.len(), |at| {
                        fields.get(at).map(AsRef::as_ref)
                    })?,
                );
            }
            places = Some(found);
            continue;
        };
        records.push(
            places.record(table, line, fields.len(), |at| fields.get(at).map(AsRef::as_ref))?,
        );
    }
}

/// Follows the file's bytes: a row of its own, unless the last field is still inside quotes. A NUL
/// byte stands in no text, so it is taken for nothing else.
const END: &[u8] = b"\n\0";

fn texts(record: &ByteRecord, encoding: Encoding) -> Result<Vec<Cow<'_, str>>, String> {
    let text = |(column, bytes): (usize, &'_ [u8])| {
        if bytes.len() > open::LINE_LIMIT || bytes.contains(&0) {
            return Err(format!("column {column} is too long or holds a NUL byte"));
        }
        Ok(())
    };
    record.iter().enumerate().try_for_each(text)?;
    let decode = |(column, bytes)| {
        open::decode(bytes, encoding).map_err(|byte| {
            let hint = open::ENCODING_HINT;
            format!("column {column} is not UTF-8 from its byte {byte} on; {hint}")
        })
    };
    record.iter().enumerate().map(decode).collect()
}

/// Hands on what it reads, but not without end for one row: an open quote would take the whole file.
struct RowLimit<R> {
    source: R,
    /// Bytes handed on since the last row was complete.
    since_row: Rc<Cell<usize>>,
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.since_row.set(self.since_row.get() + count);
        if self.since_row.get() > open::LINE_LIMIT {
            let reason = format!("a row of more than {} bytes; is a quote open?", open::LINE_LIMIT);
            return Err(std::io::Error::other(reason));
        }
        Ok(count)
    }
}
