//! Lines that are a text alone, or a label and a text.

use super::open::Lines;
use super::table::{Cell, Record, Records, Table};
use super::{ColumnRef, Encoding};
use crate::EvalError;

/// Reads `label text`, split at the first space and nowhere else: a no-break space is part of the text.
pub(super) fn label_text(table: &Table) -> Result<Records, EvalError> {
    let places = places(table)?;
    let mut lines = Lines::open(table.path, table.encoding)?;
    let mut records = Vec::new();
    while let Some(line) = lines.next()? {
        if line.is_empty() {
            continue;
        }
        let Some((label, text)) = line.split_once(' ') else {
            let reason = "has no space between a label and a text";
            return Err(EvalError::line(table.path, lines.line, reason));
        };
        records.push(record(&places, lines.line, text, label));
    }
    Ok(Records::of(records))
}

/// Reads a file of texts and one of labels, line for line; an empty line is an empty text.
pub(super) fn parallel(table: &Table) -> Result<Records, EvalError> {
    let Some(labels_path) = table.labels_path else {
        let reason = "lines of text need the file of their labels: `labels_path`";
        return Err(EvalError::file(table.path, reason));
    };
    let places = places(table)?;
    let texts = all(table.path, table.encoding)?;
    let labels = all(labels_path, table.encoding)?;
    if texts.len() != labels.len() {
        let reason = format!(
            "has {} lines, but `{}` has {}: they belong together line for line",
            texts.len(),
            labels_path.display(),
            labels.len()
        );
        return Err(EvalError::file(table.path, reason));
    }
    let pairs = texts.iter().zip(&labels).zip(1..);
    Ok(Records::of(pairs.map(|((text, label), line)| record(&places, line, text, label)).collect()))
}

fn all(path: &std::path::Path, encoding: Encoding) -> Result<Vec<String>, EvalError> {
    let mut lines = Lines::open(path, encoding)?;
    let mut all = Vec::new();
    while let Some(line) = lines.next()? {
        all.push(line);
    }
    Ok(all)
}

/// The two columns of these formats.
enum Part {
    Text,
    Label,
}

fn places(table: &Table) -> Result<Vec<Part>, EvalError> {
    let part = |column: &&ColumnRef| match column {
        ColumnRef::Name(name) if name == "text" => Ok(Part::Text),
        ColumnRef::Name(name) if name == "label" => Ok(Part::Label),
        _ => Err(EvalError::file(table.path, "has the columns `text` and `label` and no others")),
    };
    table.columns.iter().map(part).collect()
}

fn record(places: &[Part], line: u64, text: &str, label: &str) -> Record {
    let cell = |part: &Part| match part {
        Part::Text => Cell::Text(text.to_owned()),
        Part::Label => Cell::Text(label.to_owned()),
    };
    Record { line, cells: places.iter().map(cell).collect() }
}
