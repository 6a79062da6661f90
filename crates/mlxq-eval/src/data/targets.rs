//! Target cells to labels and scores.

use std::collections::BTreeSet;

use super::table::{Cell, Records};
use super::{FileSpec, Target, TargetColumn};
use crate::EvalError;

/// Why a row has no target.
pub(super) const HIDDEN: &str = "the label is hidden (-1)";
const NO_LABEL: &str = "no label";
const NO_SCORE: &str = "no score";

/// How target cells are understood.
pub(super) enum Targets {
    Scores,
    /// Labels, by name in id order.
    Names(Vec<String>),
}

impl Targets {
    /// The label names: as configured, as the file says, or the distinct labels found, sorted.
    ///
    /// # Errors
    /// With all distinct unknown labels and the first five lines when there are some.
    pub(super) fn find(spec: &FileSpec, records: &Records) -> Result<Self, EvalError> {
        if matches!(spec.columns.target, TargetColumn::Score(_)) {
            return Ok(Self::Scores);
        }
        if let Some(names) = spec.labels.as_ref().or(records.label_names.as_ref()) {
            refuse_unknown(spec, names, records)?;
            return Ok(Self::Names(names.clone()));
        }
        let cells = records.records.iter().filter_map(|record| record.cells.last());
        let found: BTreeSet<&str> = cells.flat_map(|cell| parts(spec, cell).texts).collect();
        Ok(Self::Names(found.into_iter().map(str::to_owned).collect()))
    }

    /// The target of a cell; else why there is none (inner), or what is wrong with it (outer).
    pub(super) fn of(
        &self,
        spec: &FileSpec,
        cell: &Cell,
    ) -> Result<Result<Target, &'static str>, String> {
        let Self::Names(names) = self else {
            return score(cell).map(|score| score.map(Target::Score).ok_or(NO_SCORE));
        };
        let parts = parts(spec, cell);
        if let Some(why) = parts.missing {
            return Ok(Err(why));
        }
        let ids: BTreeSet<usize> =
            parts.texts.iter().filter_map(|text| id(spec, names, cell, text)).collect();
        Ok(match (&spec.columns.target, ids.first()) {
            (_, None) => Err(NO_LABEL),
            (TargetColumn::Labels(_), _) => Ok(Target::Labels(ids.into_iter().collect())),
            (_, Some(id)) => Ok(Target::Label(*id)),
        })
    }
}

/// The label texts of a cell, or why it has none.
struct Parts<'c> {
    texts: Vec<&'c str>,
    missing: Option<&'static str>,
}

fn parts<'c>(spec: &FileSpec, cell: &'c Cell) -> Parts<'c> {
    let text = match cell {
        Cell::Null => "",
        Cell::Text(text) | Cell::Number(_, text) => text.trim(),
    };
    let missing = match text {
        "-1" => Some(HIDDEN),
        "" | "-" => Some(NO_LABEL),
        _ => None,
    };
    let texts = match spec.columns.target {
        _ if missing.is_some() => Vec::new(),
        TargetColumn::Labels(_) => {
            let parts = text.split(spec.label_separator.as_str()).map(str::trim);
            parts.filter(|part| !part.is_empty()).collect()
        }
        _ => vec![text],
    };
    Parts { texts, missing }
}

/// The id of a label. A number is an id, also where names look like numbers; a text is a name before it
/// is an id.
fn id(spec: &FileSpec, names: &[String], cell: &Cell, text: &str) -> Option<usize> {
    let by_name = || names.iter().position(|name| name == text);
    let number = || text.parse::<usize>().ok()?.checked_sub(spec.first_id);
    let by_id = || number().filter(|id| *id < names.len());
    match cell {
        Cell::Number(..) => by_id(),
        _ => by_name().or_else(by_id),
    }
}

fn refuse_unknown(spec: &FileSpec, names: &[String], records: &Records) -> Result<(), EvalError> {
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    let mut places: Vec<usize> = Vec::new();
    for (place, record) in records.records.iter().enumerate() {
        let Some(cell) = record.cells.last() else { continue };
        for text in parts(spec, cell).texts {
            if id(spec, names, cell, text).is_none() {
                unknown.insert(text);
                places.push(place);
            }
        }
    }
    places.dedup();
    let Some(first) = places.first() else { return Ok(()) };
    let lines: Vec<_> =
        places.iter().take(5).map(|place| records.records[*place].line.to_string()).collect();
    let quoted = |text: &str| format!("`{}`", text.escape_debug());
    let texts: Vec<_> = unknown.iter().map(|text| quoted(text)).collect();
    let known: Vec<_> = names.iter().map(|name| name.escape_debug().to_string()).collect();
    let reason = format!(
        "unknown labels {} (lines {}); known are {}, or ids from {}",
        texts.join(", "),
        lines.join(", "),
        known.join(", "),
        spec.first_id,
    );
    Err(EvalError::file(records.file(*first), reason))
}

fn score(cell: &Cell) -> Result<Option<f64>, String> {
    let (number, text) = match cell {
        Cell::Null => return Ok(None),
        Cell::Number(number, text) => (Some(*number), text.as_str()),
        Cell::Text(text) if text.trim().is_empty() => return Ok(None),
        Cell::Text(text) => (text.trim().parse().ok(), text.as_str()),
    };
    match number.filter(|number: &f64| number.is_finite()) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("the score `{}` is no finite number", text.escape_debug())),
    }
}
