//! Records to rows: texts and targets, and what cannot be used.

use super::table::{Cell, Record, Records};
use super::targets::{HIDDEN, Targets};
use super::{Dataset, FileSpec, Row, Target, TextColumns, sample};
use crate::EvalError;

/// The rows of `records` that can be used and are asked for.
pub(super) fn build(spec: &FileSpec, mut records: Records) -> Result<Dataset, EvalError> {
    let rows_in_file = records.records.len();
    if rows_in_file == 0 {
        return Err(EvalError::file(&spec.path, "has no rows"));
    }
    let targets = Targets::find(spec, &records)?;
    let mut dataset = Dataset { rows_in_file, ..Dataset::default() };
    for (id, record) in std::mem::take(&mut records.records).into_iter().enumerate() {
        let line = record.line;
        let row = row(spec, &targets, id, record);
        match row.map_err(|reason| EvalError::line(records.file(id), line, reason))? {
            Ok(row) => dataset.rows.push(row),
            Err(reason) => *dataset.skipped.entry(reason.to_owned()).or_insert(0) += 1,
        }
    }
    refuse_unusable(spec, &dataset)?;
    if let Targets::Names(names) = targets {
        dataset.labels = names;
    }
    if let Some(count) = spec.max_samples {
        sample::take(&mut dataset.rows, count, spec.sampling);
    }
    Ok(dataset)
}

/// Refuses files of which nothing can be scored.
fn refuse_unusable(spec: &FileSpec, dataset: &Dataset) -> Result<(), EvalError> {
    let Dataset { rows, rows_in_file, skipped, .. } = dataset;
    let refuse = |reason: String| Err(EvalError::file(&spec.path, reason));
    let hidden = |what| {
        refuse(format!(
            "has no usable rows: all {rows_in_file} {what} are hidden (-1), so this split cannot be \
             scored; take another"
        ))
    };
    if skipped.get(HIDDEN) == Some(rows_in_file) {
        return hidden("labels");
    }
    if rows.iter().all(|row| row.target == Target::Score(-1.0)) && rows.len() == *rows_in_file {
        return hidden("scores");
    }
    if rows.is_empty() {
        let reasons: Vec<_> =
            skipped.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
        return refuse(format!("has no usable rows ({})", reasons.join(", ")));
    }
    Ok(())
}

/// The row of a record; else why it is skipped (inner), or what is wrong with it (outer).
fn row(
    spec: &FileSpec,
    targets: &Targets,
    id: usize,
    record: Record,
) -> Result<Result<Row, &'static str>, String> {
    let mut cells = record.cells.into_iter();
    let mut text = |columns: &TextColumns| {
        let cells = cells.by_ref().take(columns.parts.len()).collect();
        joined(cells, &columns.separator).or_else(|| spec.keep_empty.then(String::new))
    };
    let first = text(&spec.columns.text);
    let second = spec.columns.text_pair.as_ref().map(text);
    let target = targets.of(spec, &cells.next().unwrap_or(Cell::Null))?;
    let (Some(first), Some(text_pair)) = (first, second.map_or(Some(None), |text| text.map(Some)))
    else {
        return Ok(Err("empty text"));
    };
    Ok(target.map(|target| Row { id, text: first, text_pair, target }))
}

/// The text that the cells make; `None` where it is blank. One cell alone is taken as it is.
pub(super) fn joined(cells: Vec<Cell>, separator: &str) -> Option<String> {
    let alone = cells.len() == 1;
    let filled = |cell| match cell {
        Cell::Text(text) | Cell::Number(_, text) if !text.trim().is_empty() => Some(text),
        _ => None,
    };
    let mut parts: Vec<String> = cells.into_iter().filter_map(filled).collect();
    match parts.len() {
        0 => None,
        1 if alone => parts.pop(),
        _ => Some(parts.join(separator).trim().to_owned()),
    }
}
