//! Apache Parquet, with the label names that the `datasets` library leaves in the file.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::Row as ParquetRow;
use serde_json::Value;

use super::{Cell, ColumnRef, FileSpec, Record, Records, TargetColumn, wanted};
use crate::EvalError;

/// Reads the file. A panic of the parser, which a hostile file can cause, becomes an error here.
pub(super) fn read(spec: &FileSpec) -> Result<Records, EvalError> {
    catch_unwind(AssertUnwindSafe(|| read_file(spec)))
        .unwrap_or_else(|_| Err(EvalError::file(&spec.path, "is damaged: its parser gave up")))
}

fn read_file(spec: &FileSpec) -> Result<Records, EvalError> {
    let refuse = |reason: String| EvalError::file(&spec.path, reason);
    let file = File::open(&spec.path).map_err(EvalError::io(&spec.path))?;
    let reader = SerializedFileReader::new(file).map_err(|error| refuse(error.to_string()))?;
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<String> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let place = |column: &ColumnRef| match column {
        ColumnRef::Index(place) if *place < names.len() => Ok(*place),
        ColumnRef::Name(name) if names.contains(name) => {
            Ok(names.iter().position(|other| other == name).unwrap_or(0))
        }
        other => {
            Err(refuse(format!("there is no column {other:?}; there are {}", names.join(", "))))
        }
    };
    let places = wanted(spec).into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
    let mut records = Vec::new();
    let rows = reader.get_row_iter(None).map_err(|error| refuse(error.to_string()))?;
    for (at, row) in rows.enumerate() {
        let line = at as u64 + 1;
        let row = row.map_err(|error| EvalError::line(&spec.path, line, error.to_string()))?;
        let cells = places.iter().map(|place| cell(&row, *place)).collect::<Result<_, _>>();
        let cells = cells.map_err(|reason| EvalError::line(&spec.path, line, reason))?;
        records.push(Record { line, cells });
    }
    let label_names = match &spec.columns.target {
        TargetColumn::Label(column) | TargetColumn::Labels(column) => {
            place(column).ok().and_then(|place| class_names(&reader, &names[place]))
        }
        TargetColumn::Score(_) => None,
    };
    Ok(Records { records, label_names })
}

fn cell(row: &ParquetRow, place: usize) -> Result<Cell, String> {
    let (name, field) = row.get_column_iter().nth(place).ok_or("is shorter than the schema")?;
    let number = |value: f64, text: String| Ok(Cell::Number(value, text));
    match field {
        Field::Null => Ok(Cell::Null),
        Field::Str(text) => Ok(Cell::Text(text.clone())),
        Field::Bool(value) => number(f64::from(u8::from(*value)), u8::from(*value).to_string()),
        Field::Byte(value) => number(f64::from(*value), value.to_string()),
        Field::UByte(value) => number(f64::from(*value), value.to_string()),
        Field::Short(value) => number(f64::from(*value), value.to_string()),
        Field::UShort(value) => number(f64::from(*value), value.to_string()),
        Field::Int(value) => number(f64::from(*value), value.to_string()),
        Field::UInt(value) => number(f64::from(*value), value.to_string()),
        Field::Long(value) => number(*value as f64, value.to_string()),
        Field::ULong(value) => number(*value as f64, value.to_string()),
        Field::Float(value) => number(f64::from(*value), value.to_string()),
        Field::Double(value) => number(*value, value.to_string()),
        _ => Err(format!("column `{name}` holds neither texts nor numbers")),
    }
}

/// The names of the ClassLabel column `column`, from the key `huggingface` of the file's metadata.
fn class_names(reader: &SerializedFileReader<File>, column: &str) -> Option<Vec<String>> {
    let pairs = reader.metadata().file_metadata().key_value_metadata()?;
    let text = pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_ref()?;
    let info: Value = serde_json::from_str(text).ok()?;
    let names = info.pointer(&format!("/info/features/{column}/names"))?.as_array()?;
    names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
