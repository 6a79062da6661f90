//! Every way of writing rows that a data set may come in.

use std::path::Path;

use mlxq_eval::data::{ColumnRef, Encoding, FileFormat, FileSpec, Target, TextColumns};

use super::*;

/// A file whose columns are always `text` and `label`.
fn fixed(path: PathBuf, format: FileFormat) -> FileSpec {
    FileSpec { format: Some(format), ..labelled(path) }
}

#[test]
fn a_label_ends_at_the_first_space_and_nowhere_else() {
    let folder = Folder::new();
    // A no-break space and a tab are part of the label or the text, and texts keep their spaces.
    let path = folder.file("a.txt", "1 a b \n0\u{a0}x  two\r\n\n1 c\td\n");
    let dataset = good(&fixed(path, FileFormat::LabelText));
    assert_eq!(texts(&dataset), ["a b ", " two", "c\td"]);
    assert_eq!(labels(&dataset), ["1", "0\u{a0}x", "1"]);
    let path = folder.file("b.txt", "1 a\nalone\n");
    assert_has(&refused(&fixed(path, FileFormat::LabelText)), &["line 2", "space"], "no space");
}

#[test]
fn parallel_files_belong_together_line_for_line() {
    let folder = Folder::new();
    let with = |text: &str, label: &str| FileSpec {
        labels_path: Some(folder.file("labels.txt", label)),
        labels: Some(["anger", "joy"].map(String::from).to_vec()),
        ..labelled(folder.file("texts.txt", text))
    };
    let dataset = good(&with("one; two\n\n\"three\n", "1\n0\n0\n"));
    assert_eq!(texts(&dataset), ["one; two", "\"three"]);
    assert_eq!(labels(&dataset), ["joy", "anger"]);
    assert_eq!((dataset.rows[1].id, dataset.skipped["empty text"]), (2, 1));
    assert_eq!(dataset.files.len(), 2);
    let message = refused(&with("a\nb\n", "1\n"));
    assert_has(&message, &["texts.txt", "labels.txt", "2 lines", "1"], "counts");
    let alone = fixed(folder.file("texts.txt", "a\n"), FileFormat::Lines);
    assert_has(&refused(&alone), &["labels_path"], "no labels");
    let table = FileSpec { format: Some(FileFormat::Csv), ..with("a\n", "1\n") };
    assert_has(&refused(&table), &["lines"], "a table");
}

#[test]
fn latin_1_reads_what_utf_8_refuses() {
    let folder = Folder::new();
    for (name, content, place) in [
        ("a.tsv", &b"text\tlabel\nsister\xf0city\tx\n"[..], &["line 2", "byte 7"]),
        ("a.csv", b"text,label\nsister\xf0city,x\n", &["line 2", "byte 7"]),
    ] {
        let spec = labelled(folder.file(name, content));
        assert_has(&refused(&spec), place, name);
        assert_has(&refused(&spec), &["latin-1"], name);
        let dataset = good(&FileSpec { encoding: Encoding::Latin1, ..spec });
        assert_eq!(texts(&dataset), ["sister\u{f0}city"], "{name}");
    }
}

#[test]
fn columns_are_joined_without_blank_parts() {
    let folder = Folder::new();
    let path = folder.file("a.csv", "3, Title ,body \n1,,alone\n2,head,\n1,,\n");
    let mut spec = labelled(path);
    spec.columns.target = TargetColumn::Label(ColumnRef::Index(0));
    let parts = vec![ColumnRef::Index(1), ColumnRef::Index(2)];
    spec.columns.text = TextColumns { parts, separator: " - ".to_owned() };
    spec.first_id = 1;
    spec.labels = Some(["World", "Sports", "Business"].map(String::from).to_vec());
    let dataset = good(&spec);
    assert_eq!(texts(&dataset), ["Title  - body", "alone", "head"]);
    assert_eq!(labels(&dataset), ["Business", "World", "Sports"]);
    assert_eq!(dataset.skipped["empty text"], 1);
}

#[test]
fn ids_may_count_from_one() {
    let folder = Folder::new();
    let spec = |rows: &str| FileSpec {
        labels: Some(["a", "b"].map(String::from).to_vec()),
        first_id: 1,
        ..labelled(folder.file("x.tsv", format!("text\tlabel\n{rows}")))
    };
    assert_eq!(labels(&good(&spec("one\t1\ntwo\t2\nthree\tb\n"))), ["a", "b", "b"]);
    assert_has(&refused(&spec("one\t1\nzero\t0\n")), &["`0`", "lines 3", "ids from 1"], "zero");
    assert_has(&refused(&spec("one\t1\nthree\t3\n")), &["`3`"], "three");
}

/// A number is an id even where names look like numbers: the Hub's Yelp calls its classes 0 and 1
/// `1` and `2`.
#[test]
fn numbers_are_ids_and_texts_are_names_first() {
    let folder = Folder::new();
    let rows = "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": \"1\"}\n";
    let mut spec = labelled(folder.file("a.jsonl", rows));
    spec.labels = Some(["1", "2"].map(String::from).to_vec());
    assert_eq!(labels(&good(&spec)), ["2", "1"]);
}

#[test]
fn labels_of_a_cell_may_have_any_separator() {
    let folder = Folder::new();
    let path = folder.file("a.tsv", "text\tlabel\none\tjoy | 2\n");
    let mut spec = named(path, TargetColumn::Labels(ColumnRef::Name("label".into())));
    spec.labels = Some(["anger", "joy", "fear"].map(String::from).to_vec());
    spec.label_separator = "|".to_owned();
    assert_eq!(good(&spec).rows[0].target, Target::Labels(vec![1, 2]));
}

#[test]
fn semicolons_separate_like_any_byte() {
    let folder = Folder::new();
    let mut spec = labelled(folder.file("a.txt", "i feel \"fine\";joy\nbad;sadness\n"));
    (spec.format, spec.delimiter) = (Some(FileFormat::Tsv), Some(b';'));
    spec.columns.text = ColumnRef::Index(0).into();
    spec.columns.target = TargetColumn::Label(ColumnRef::Index(1));
    assert_eq!(texts(&good(&spec)), ["i feel \"fine\"", "bad"]);
}

#[test]
fn zstd_is_unpacked_frame_by_frame() {
    let folder = Folder::new();
    let pack = |text: &str| zstd::encode_all(text.as_bytes(), 3).expect("memory");
    let both = [pack("text\tlabel\na\tx\n"), pack("b\ty\n")].concat();
    let dataset = good(&labelled(folder.file("a.tsv.zst", &both)));
    assert_eq!(texts(&dataset), ["a", "b"]);
    // Cut off; followed by something else.
    refused(&labelled(folder.file("cut.tsv.zst", &both[..both.len() - 3])));
    refused(&labelled(folder.file("more.tsv.zst", [&both[..], b"garbage"].concat())));
}

#[test]
fn shards_are_one_data_set() {
    let folder = Folder::new();
    let shard = |name: &str, rows: &str| folder.file(name, format!("text\tlabel\n{rows}"));
    let spec = FileSpec {
        further: vec![shard("b.tsv", "c\tx\n"), shard("c.tsv", "\ty\nd\tz\n")],
        ..labelled(shard("a.tsv", "a\ty\nb\tx\n"))
    };
    let dataset = good(&spec);
    let rows: Vec<_> = dataset.rows.iter().map(|row| (row.id, row.text.as_str())).collect();
    assert_eq!(rows, [(0, "a"), (1, "b"), (2, "c"), (4, "d")]);
    assert_eq!((labels(&dataset), dataset.rows_in_file), (vec!["y", "x", "x", "z"], 5));
    // An error names the shard and its line.
    let bad = FileSpec { labels: Some(vec!["x".into(), "y".into()]), ..spec };
    let message = mlxq_eval::data::read(&bad).expect_err("an unknown label").to_string();
    assert_has(&message, &["c.tsv", "lines 3", "`z`"], "a shard");
}

/// BLAKE3 of nothing and of `abc` from the reference implementation's README and test vectors; the hash of
/// several files is that of their hashes.
#[test]
fn the_hash_is_that_of_the_content() {
    let folder = Folder::new();
    let abc = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let path = folder.file("a.txt", "abc");
    let spec = FileSpec {
        labels_path: Some(folder.file("labels.txt", "abc")),
        ..fixed(path.clone(), FileFormat::Lines)
    };
    let dataset = good(&spec);
    assert!(dataset.files.iter().all(|file| file.blake3 == abc), "{:?}", dataset.files);
    let all = blake3::hash(format!("{abc}\n{abc}\n").as_bytes()).to_string();
    assert_eq!(dataset.hash, all);
    let one = good(&labelled(folder.file("one.tsv", "text\tlabel\na\tx\n")));
    assert_eq!(one.hash, one.files[0].blake3);
    assert_eq!(one.files[0].path.file_name(), Some(Path::new("one.tsv").as_os_str()));
}
