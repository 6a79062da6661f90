//! Records to rows: texts, labels and scores, and what cannot be used.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cell, Dataset, FileSpec, Record, Records, Row, Target, TargetColumn};
use crate::EvalError;

/// The rows of `records` that can be used.
pub(super) fn build(spec: &FileSpec, records: Records) -> Result<Dataset, EvalError> {
    let Records { mut records, label_names } = records;
    let rows_in_file = records.len();
    if rows_in_file == 0 {
        return Err(EvalError::file(&spec.path, "has no rows"));
    }
    records.truncate(spec.max_samples.unwrap_or(usize::MAX));
    let targets = match &spec.columns.target {
        TargetColumn::Score(_) => Targets::Scores,
        TargetColumn::Label(_) => Targets::Label(label_list(spec, label_names, &records)),
        TargetColumn::Labels(_) => Targets::Labels(label_list(spec, label_names, &records)),
    };
    if let Targets::Label(labels) | Targets::Labels(labels) = &targets {
        refuse_unknown(spec, labels, &records)?;
    }
    let mut dataset = Dataset {
        rows: Vec::with_capacity(records.len()),
        labels: match &targets {
            Targets::Label(labels) | Targets::Labels(labels) => labels.clone(),
            Targets::Scores => Vec::new(),
        },
        rows_in_file,
        skipped: BTreeMap::new(),
    };
    for (id, record) in records.into_iter().enumerate() {
        match row(spec, &targets, id, record)? {
            Ok(row) => dataset.rows.push(row),
            Err(reason) => *dataset.skipped.entry(reason.to_owned()).or_insert(0) += 1,
        }
    }
    if dataset.rows.is_empty() {
        let reasons: Vec<_> =
            dataset.skipped.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
        let reason = format!("has no usable rows ({})", reasons.join(", "));
        return Err(EvalError::file(&spec.path, reason));
    }
    Ok(dataset)
}

enum Targets {
    Scores,
    /// One of these, by name in id order.
    Label(Vec<String>),
    /// Any number of these.
    Labels(Vec<String>),
}

/// The label names: as configured, as the file says, or the distinct labels found, sorted.
fn label_list(spec: &FileSpec, names: Option<Vec<String>>, records: &[Record]) -> Vec<String> {
    if let Some(names) = spec.labels.clone().or(names) {
        return names;
    }
    let found = records.iter().flat_map(|record| label_texts(spec, record.cells.last()));
    found.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The texts of a label cell: one, or those between commas where the column holds several; none for
/// hidden or missing labels.
fn label_texts(spec: &FileSpec, cell: Option<&Cell>) -> Vec<String> {
    let text = cell.and_then(label_text);
    match spec.columns.target {
        TargetColumn::Labels(_) => {
            let parts = text.iter().flat_map(|text| text.split(','));
            parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        }
        _ => text.into_iter().collect(),
    }
}

/// The text of a label cell; `None` for a hidden or missing label.
fn label_text(cell: &Cell) -> Option<String> {
    let text = match cell {
        Cell::Null => return None,
        Cell::Text(text) | Cell::Number(_, text) => text.trim(),
    };
    (!matches!(text, "" | "-1" | "-")).then(|| text.to_owned())
}

/// The id of a label: its name's place, or the id itself.
fn label_id(labels: &[String], text: &str) -> Option<usize> {
    let by_name = labels.iter().position(|label| label == text);
    by_name.or_else(|| text.parse().ok().filter(|id| *id < labels.len()))
}

fn refuse_unknown(spec: &FileSpec, labels: &[String], records: &[Record]) -> Result<(), EvalError> {
    let mut unknown: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in records {
        let texts = label_texts(spec, record.cells.last());
        for text in texts.into_iter().filter(|text| label_id(labels, text).is_none()) {
            unknown.entry(text).or_default().push(record.line);
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<u64> = unknown.values().flatten().copied().collect();
    lines.sort_unstable();
    let rows: Vec<_> = lines.iter().take(5).map(u64::to_string).collect();
    let texts: Vec<_> = unknown.keys().map(|text| format!("`{}`", text.escape_debug())).collect();
    let reason = format!(
        "unknown labels {} (lines {}); known are {}",
        texts.join(", "),
        rows.join(", "),
        labels.join(", ")
    );
    Err(EvalError::file(&spec.path, reason))
}

/// The row of a record, or why it is skipped.
fn row(
    spec: &FileSpec,
    targets: &Targets,
    id: usize,
    record: Record,
) -> Result<Result<Row, &'static str>, EvalError> {
    let line = record.line;
    let mut cells = record.cells.into_iter();
    let text = |cell| text_of(cell).or_else(|| spec.keep_empty.then(String::new));
    let Some(first) = cells.next().and_then(text) else { return Ok(Err("empty text")) };
    let text_pair = match spec.columns.text_pair {
        Some(_) => match cells.next().and_then(text) {
            Some(text) => Some(text),
            None => return Ok(Err("empty second text")),
        },
        None => None,
    };
    let cell = cells.next().unwrap_or(Cell::Null);
    let target = match targets {
        Targets::Label(labels) => {
            label_text(&cell).and_then(|text| label_id(labels, &text)).map(Target::Label)
        }
        Targets::Labels(labels) => {
            let texts = label_texts(spec, Some(&cell));
            let ids: BTreeSet<usize> =
                texts.iter().filter_map(|text| label_id(labels, text)).collect();
            (!ids.is_empty()).then(|| Target::Labels(ids.into_iter().collect()))
        }
        Targets::Scores => score(&cell)
            .map_err(|reason| EvalError::line(&spec.path, line, reason))?
            .map(Target::Score),
    };
    Ok(target.map(|target| Row { id, text: first, text_pair, target }).ok_or("no label or score"))
}

fn text_of(cell: Cell) -> Option<String> {
    match cell {
        Cell::Text(text) | Cell::Number(_, text) if !text.trim().is_empty() => Some(text),
        _ => None,
    }
}

fn score(cell: &Cell) -> Result<Option<f64>, String> {
    let number = match cell {
        Cell::Null => return Ok(None),
        Cell::Number(number, _) => Some(*number),
        Cell::Text(text) if text.trim().is_empty() => return Ok(None),
        Cell::Text(text) => text.trim().parse().ok(),
    };
    match number.filter(|number| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("the score {cell:?} is no finite number")),
    }
}
