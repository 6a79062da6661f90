//! Data files of every format, good and bad, written by the tests.

mod bad;
mod collection;
mod forms;
mod parquet_files;
mod sampling;
mod shared;

use std::fmt::Debug;
use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use mlxq_eval::data::{
    ColumnRef, Columns, Dataset, FileSpec, Target, TargetColumn, TextColumns, read,
};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).expect("a temporary file");
        path
    }
}

fn named(path: PathBuf, target: TargetColumn) -> FileSpec {
    let columns = Columns { text: column("text"), text_pair: None, target };
    FileSpec::new(path, columns)
}

fn column(name: &str) -> TextColumns {
    ColumnRef::Name(name.into()).into()
}

fn labelled(path: PathBuf) -> FileSpec {
    named(path, TargetColumn::Label(ColumnRef::Name("label".into())))
}

fn scored(path: PathBuf) -> FileSpec {
    named(path, TargetColumn::Score(ColumnRef::Name("score".into())))
}

fn texts(dataset: &Dataset) -> Vec<&str> {
    dataset.rows.iter().map(|row| row.text.as_str()).collect()
}

fn labels(dataset: &Dataset) -> Vec<&str> {
    let label = |target: &Target| match target {
        Target::Label(id) => dataset.labels[*id].as_str(),
        Target::Score(_) | Target::Labels(_) => panic!("one label is wanted"),
    };
    dataset.rows.iter().map(|row| label(&row.target)).collect()
}

fn good(spec: &FileSpec) -> Dataset {
    read(spec).unwrap_or_else(|error| panic!("{error}"))
}

/// The message of a file that must be refused; it names the file.
fn refused(spec: &FileSpec) -> String {
    let error = read(spec).map(|dataset| dataset.rows).expect_err("a bad file").to_string();
    let name = spec.path.file_name().and_then(|name| name.to_str()).expect("a name");
    assert!(error.contains(name), "{error}");
    error
}

fn assert_has(message: &str, words: &[&str], what: impl Debug) {
    for word in words {
        assert!(message.contains(word), "{what:?}: `{word}` is not in: {message}");
    }
}

#[test]
fn csv_quotes_hold_delimiters_line_ends_and_quotes() {
    let folder = Folder::new();
    let text = "text,label\r\n\"a, \"\"b\"\"\r\nc\",yes\r\n5\" pipe,no\r\n";
    let dataset = good(&labelled(folder.file("a.csv", text)));
    assert_eq!(texts(&dataset), ["a, \"b\"\r\nc", "5\" pipe"]);
    assert_eq!(labels(&dataset), ["yes", "no"]);
}

#[test]
fn tsv_has_no_quotes_and_rows_may_have_more_fields_without_a_header() {
    let folder = Folder::new();
    let path = folder.file("a.tsv", "4.5\t\"one\t2\n0.25\ttwo\"\tx\ty\n");
    let mut spec = scored(path);
    spec.columns.text = ColumnRef::Index(1).into();
    spec.columns.target = TargetColumn::Score(ColumnRef::Index(0));
    let dataset = good(&spec);
    assert_eq!(texts(&dataset), ["\"one", "two\""]);
    assert_eq!(dataset.rows[1].target, Target::Score(0.25));
}

#[test]
fn rows_with_empty_texts_are_kept_on_request() {
    let folder = Folder::new();
    let spec = labelled(folder.file("a.csv", "text,label\na,yes\n\"\",no\n"));
    let without = good(&spec);
    assert_eq!((texts(&without), without.skipped.len()), (vec!["a"], 1));
    let with = good(&FileSpec { keep_empty: true, ..spec });
    assert_eq!((texts(&with), with.skipped.len()), (vec!["a", ""], 0));
}

#[test]
fn a_cell_holds_several_labels_with_commas_between_them() {
    let folder = Folder::new();
    let path = folder.file("a.tsv", "text\tlabel\none\tjoy,2\ntwo\t1\nthree\t\nfour\t0, 0\n");
    let mut spec = named(path, TargetColumn::Labels(ColumnRef::Name("label".into())));
    spec.labels = Some(["anger", "joy", "fear"].map(String::from).to_vec());
    let dataset = good(&spec);
    let targets: Vec<_> = dataset.rows.iter().map(|row| row.target.clone()).collect();
    assert_eq!(targets, [vec![1, 2], vec![1], vec![0]].map(Target::Labels));
    assert_eq!(dataset.skipped.values().sum::<usize>(), 1);
    let path = folder.file("b.tsv", "text\tlabel\none\tjoy,shame\n");
    assert_has(&refused(&FileSpec { path, ..spec }), &["`shame`", "anger, joy, fear"], "unknown");
}

#[test]
fn the_same_rows_come_out_of_every_way_of_writing_them() {
    let folder = Folder::new();
    let expected = (vec!["an ä", "b"], vec!["yes", "no"]);
    let plain = "text\tlabel\nan ä\tyes\nb\tno\n";
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(plain.as_bytes()).expect("memory");
    let packed = packed.finish().expect("memory");
    // Two members, as `cat a.gz b.gz` makes.
    let mut second = GzEncoder::new(Vec::new(), Compression::default());
    second.write_all(b"b\tno\n").expect("memory");
    let mut first = GzEncoder::new(Vec::new(), Compression::default());
    first.write_all("text\tlabel\nan ä\tyes\n".as_bytes()).expect("memory");
    let members = [first.finish().expect("memory"), second.finish().expect("memory")].concat();
    let bom = |text: &str| format!("\u{feff}{text}").into_bytes();
    for (name, content) in [
        ("plain.tsv", plain.as_bytes().to_vec()),
        ("no-end.tsv", plain.trim_end().as_bytes().to_vec()),
        ("crlf.tsv", plain.replace('\n', "\r\n").into_bytes()),
        ("cr.tsv", plain.replace('\n', "\r").into_bytes()),
        ("mixed.tsv", plain.replacen('\n', "\r\n", 1).into_bytes()),
        ("bom.tsv", bom(plain)),
        ("blank.tsv", plain.replace('\n', "\n\n").into_bytes()),
        ("packed.tsv.gz", packed),
        ("members.tsv.gz", members),
        ("comma.csv", plain.replace('\t', ",").into_bytes()),
        ("comma-bom.csv", bom(&plain.replace('\t', ","))),
        ("comma-cr.csv", plain.replace('\t', ",").replace('\n', "\r").into_bytes()),
        (
            "lines.jsonl",
            bom(
                "{\"label\":\"yes\",\"text\":\"an \\u00e4\"}\n\n{\"text\":\"b\",\"label\":\"no\",\"x\":[1]}",
            ),
        ),
    ] {
        let dataset = good(&labelled(folder.file(name, content)));
        assert_eq!((texts(&dataset), labels(&dataset)), expected, "{name}");
    }
}

#[test]
fn labels_are_names_ids_or_given() {
    let folder = Folder::new();
    let path = folder
        .file("ids.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"label\":\"neg\"}\n");
    let mut spec = labelled(path);
    spec.labels = Some(vec!["neg".into(), "pos".into()]);
    assert_eq!(labels(&good(&spec)), ["pos", "neg"]);
}

#[test]
fn rows_without_text_or_label_are_counted_and_ids_stay() {
    let folder = Folder::new();
    let rows = [
        "{\"text\":\"a\",\"label\":-1}",
        "{\"text\":\" \",\"label\":\"x\"}",
        "{\"text\":\"c\",\"label\":null}",
        "{\"text\":\"d\",\"label\":\"x\"}",
    ];
    let dataset = good(&labelled(folder.file("a.jsonl", rows.join("\n"))));
    assert_eq!((texts(&dataset), dataset.rows[0].id, dataset.rows_in_file), (vec!["d"], 3, 4));
    assert_eq!(dataset.skipped["the label is hidden (-1)"], 1);
    assert_eq!(dataset.skipped["no label"], 1);
    assert_eq!(dataset.skipped["empty text"], 1);
}
