//! Parquet: what is read of a good file, and files that are none.

use std::fs::File;
use std::sync::Arc;

use mlxq_eval::data::{FileSpec, Target};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;

/// One row group of texts and labels (−1 and null among them), with the label names that the `datasets`
/// library would have left.
fn write(path: &std::path::Path, names: Option<&str>, compression: Compression) {
    let schema = "message m { OPTIONAL BYTE_ARRAY text (UTF8); OPTIONAL INT64 label; REQUIRED DOUBLE score; \
                  OPTIONAL GROUP tags (LIST) { REPEATED GROUP list { OPTIONAL BYTE_ARRAY element (UTF8); } } }";
    let schema = Arc::new(parse_message_type(schema).expect("a schema"));
    let metadata = names.map(|names| {
        let info = format!(
            "{{\"info\": {{\"features\": {{\"label\": {{\"names\": {names}, \"_type\": \"ClassLabel\"}}}}}}}}"
        );
        vec![KeyValue::new("huggingface".to_owned(), info)]
    });
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_key_value_metadata(metadata)
        .build();
    let file = File::create(path).expect("a file");
    let mut writer =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
    let mut group = writer.next_row_group().expect("a row group");
    let texts = ["a", "b", "c", "d"].map(ByteArray::from);
    let mut column = group.next_column().expect("a column").expect("text");
    let write = column.typed::<ByteArrayType>().write_batch(&texts, Some(&[1; 4]), None);
    assert_eq!(write.expect("texts"), 4);
    column.close().expect("text");
    let mut column = group.next_column().expect("a column").expect("label");
    column
        .typed::<Int64Type>()
        .write_batch(&[1, 0, -1], Some(&[1, 1, 1, 0]), None)
        .expect("labels");
    column.close().expect("label");
    let mut column = group.next_column().expect("a column").expect("score");
    let scores = [0.5, 1.0, 2.0, f64::NAN];
    column.typed::<DoubleType>().write_batch(&scores, None, None).expect("scores");
    column.close().expect("score");
    let mut column = group.next_column().expect("a column").expect("tags");
    column.typed::<ByteArrayType>().write_batch(&[], Some(&[0; 4]), Some(&[0; 4])).expect("tags");
    column.close().expect("tags");
    group.close().expect("a row group");
    writer.close().expect("a file");
}

#[test]
fn class_labels_are_named_by_the_file() {
    let folder = Folder::new();
    for (at, compression) in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(Default::default())]
            .into_iter()
            .enumerate()
    {
        let path = folder.file(&format!("{at}.parquet"), "");
        // The names look like ids of others: the numbers are ids all the same.
        write(&path, Some("[\"1\", \"2\"]"), compression);
        let dataset = good(&labelled(path));
        assert_eq!((texts(&dataset), labels(&dataset)), (vec!["a", "b"], vec!["2", "1"]));
        assert_eq!(dataset.skipped["the label is hidden (-1)"], 1);
        assert_eq!(dataset.skipped["no label"], 1);
    }
}

#[test]
fn shards_must_have_the_same_label_names() {
    let folder = Folder::new();
    let shard = |name: &str, names| {
        let path = folder.file(name, "");
        write(&path, Some(names), Compression::SNAPPY);
        path
    };
    let first = shard("a.parquet", "[\"x\", \"y\"]");
    let same = FileSpec { further: vec![first.clone()], ..labelled(first.clone()) };
    assert_eq!(good(&same).rows[2].target, Target::Label(1));
    let spec = FileSpec { further: vec![shard("b.parquet", "[\"y\", \"x\"]")], ..same };
    let error = read(&spec).expect_err("other names").to_string();
    assert_has(&error, &["b.parquet", "other label names"], "names");
}

#[test]
fn bad_parquet_files_are_refused() {
    let folder = Folder::new();
    let path = folder.file("good.parquet", "");
    write(&path, None, Compression::SNAPPY);
    let whole = std::fs::read(&path).expect("a file");
    let with_end = |length: u32, magic: &[u8; 4]| {
        [&whole[..whole.len() - 8], &length.to_le_bytes(), magic].concat()
    };
    let mut torn = whole.clone();
    torn.drain(4..40);
    for (name, content, words) in [
        ("cut.parquet", whole[..whole.len() - 1].to_vec(), &["cut off"][..]),
        ("long.parquet", with_end(u32::MAX, b"PAR1"), &["longer than the file"]),
        ("locked.parquet", with_end(10, b"PARE"), &["encrypted"]),
        ("short.parquet", b"PAR1PAR1".to_vec(), &["too short"]),
        ("zero.parquet", with_end(0, b"PAR1"), &[]),
        ("torn.parquet", torn, &[]),
    ] {
        assert_has(&refused(&labelled(folder.file(name, content))), words, name);
    }
    let of = |name: &str| FileSpec {
        columns: Columns { text: column(name), ..labelled(path.clone()).columns },
        ..labelled(path.clone())
    };
    assert_has(&refused(&of("sentence")), &["no column", "text, label, score, tags"], "missing");
    assert_has(&refused(&scored(path.clone())), &["line 4", "NaN"], "a score");
}

/// Each byte of the footer changed in turn: an error or other rows, never a panic or a hang.
#[test]
fn damaged_footers_end_in_an_error_or_in_rows() {
    let folder = Folder::new();
    let path = folder.file("good.parquet", "");
    write(&path, Some("[\"x\", \"y\"]"), Compression::UNCOMPRESSED);
    let whole = std::fs::read(&path).expect("a file");
    let mut refused = 0;
    for at in whole.len().saturating_sub(400)..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        refused += usize::from(read(&labelled(folder.file("x.parquet", damaged))).is_err());
    }
    assert!(refused > 0);
}
