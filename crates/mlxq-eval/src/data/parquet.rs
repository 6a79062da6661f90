//! Apache Parquet, with the label names that the `datasets` library leaves in the file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::Row as ParquetRow;
use serde_json::Value;

use super::ColumnRef;
use super::table::{Cell, Record, Records, Table};
use crate::EvalError;

/// The largest footer, in bytes.
const FOOTER_LIMIT: u64 = 64 << 20;

/// Reads the file. A panic of the parser, which a hostile file can cause, becomes an error here.
pub(super) fn read(table: &Table) -> Result<Records, EvalError> {
    catch_unwind(AssertUnwindSafe(|| read_file(table)))
        .unwrap_or_else(|_| Err(EvalError::file(table.path, "is damaged: its parser gave up")))
}

fn read_file(table: &Table) -> Result<Records, EvalError> {
    let refuse = |reason: String| EvalError::file(table.path, reason);
    check_footer(table.path)?;
    let file = File::open(table.path).map_err(EvalError::io(table.path))?;
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
    let places = table.columns.iter().map(|column| place(column)).collect::<Result<Vec<_>, _>>()?;
    let mut records = Vec::new();
    let rows = reader.get_row_iter(None).map_err(|error| refuse(error.to_string()))?;
    for (at, row) in rows.enumerate() {
        let line = at as u64 + 1;
        let row = row.map_err(|error| EvalError::line(table.path, line, error.to_string()))?;
        let cells = places.iter().map(|place| cell(&row, *place)).collect::<Result<_, _>>();
        let cells = cells.map_err(|reason| EvalError::line(table.path, line, reason))?;
        records.push(Record { line, cells });
    }
    let label = table.label.and_then(|column| place(column).ok());
    let label_names = label.and_then(|place| class_names(&reader, &names[place]));
    let mut records = Records::of(records);
    records.label_names = label_names;
    Ok(records)
}

/// Refuses what is no Parquet file, or has a footer that the parser should not try.
fn check_footer(path: &Path) -> Result<(), EvalError> {
    let refuse = |reason: &str| Err(EvalError::file(path, reason));
    let mut file = File::open(path).map_err(EvalError::io(path))?;
    let length = file.metadata().map_err(EvalError::io(path))?.len();
    let mut end = [0; 8];
    if length < 12 {
        return refuse("is too short for a Parquet file");
    }
    file.seek(SeekFrom::End(-8)).map_err(EvalError::io(path))?;
    file.read_exact(&mut end).map_err(EvalError::io(path))?;
    let [footer, magic] = [&end[..4], &end[4..]];
    let footer = footer.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    match magic {
        b"PAR1" if footer > length - 12 => refuse("has a footer longer than the file"),
        b"PAR1" if footer > FOOTER_LIMIT => refuse("has a footer of more than 64 MiB"),
        b"PAR1" => Ok(()),
        b"PARE" => refuse("is an encrypted Parquet file"),
        _ => refuse("does not end as a Parquet file: cut off, or of another kind"),
    }
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
