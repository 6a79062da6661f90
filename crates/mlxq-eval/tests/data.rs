//! Data files of every format, good and bad, written by the tests.

use std::fmt::Debug;
use std::io::Write;
use std::path::{Path, PathBuf};

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

#[test]
fn bad_files_are_refused_with_their_place() {
    let folder = Folder::new();
    let long = format!("text\tlabel\n{}\tx\n", "y".repeat((16 << 20) + 1));
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty.tsv", b"".to_vec(), &["no"]),
        ("header.tsv", b"text\tlabel\n".to_vec(), &["no rows"]),
        ("header.csv", b"text,label\n".to_vec(), &["no rows"]),
        ("empty.jsonl", b"\n\n".to_vec(), &["no rows"]),
        ("utf16.tsv", b"\xff\xfet\0e\0".to_vec(), &["UTF-16"]),
        ("utf16.csv", b"\xfe\xff\0t".to_vec(), &["UTF-16"]),
        ("nul.tsv", b"text\tlabel\na\0b\tx\n".to_vec(), &["line 2", "NUL"]),
        ("nul.csv", b"text,label\na\0b,x\n".to_vec(), &["line 2", "NUL"]),
        ("latin.tsv", b"text\tlabel\na\tx\nna\xefve\tx\n".to_vec(), &["line 3", "byte 3"]),
        ("latin.csv", b"text,label\nna\xefve,x\n".to_vec(), &["line 2", "UTF-8"]),
        ("quote.csv", b"text,label\na,x\n\"b,x\nc,x\n".to_vec(), &["line 3", "never closed"]),
        ("few.tsv", b"text\tlabel\na\tx\nb\n".to_vec(), &["line 3", "1 fields", "2"]),
        ("many.csv", b"text,label\na,x,y\n".to_vec(), &["line 2", "3 fields", "2"]),
        ("long.tsv", long.into_bytes(), &["line 2", "longer"]),
        ("twice.tsv", b"text\ttext\tlabel\na\tb\tc\n".to_vec(), &["line 1", "twice"]),
        ("column.csv", b"sentence,label\na,b\n".to_vec(), &["`text`", "sentence, label"]),
        ("hidden.tsv", b"text\tlabel\na\t-1\nb\t-1\n".to_vec(), &["no usable rows", "2"]),
        ("syntax.jsonl", b"{\"text\":\"a\",\"label\":\"x\"}\n{\"text\":\n".to_vec(), &["line 2"]),
        (
            "twice.jsonl",
            b"{\"text\":\"a\",\"text\":\"b\",\"label\":\"x\"}\n".to_vec(),
            &["line 1", "`text`", "twice"],
        ),
        ("nested.jsonl", b"{\"text\":[\"a\"],\"label\":\"x\"}\n".to_vec(), &["line 1", "`text`"]),
        (
            "key.jsonl",
            b"{\"sentence\":\"a\",\"label\":\"x\"}\n".to_vec(),
            &["line 1", "`text`", "label, sentence"],
        ),
        ("list.jsonl", b"[1]\n".to_vec(), &["line 1", "object"]),
        ("deep.jsonl", "[".repeat(100_000).into_bytes(), &["line 1"]),
        ("packed.tsv.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03garbage".to_vec(), &[]),
        ("not.parquet", b"PAR1 no parquet PAR1".to_vec(), &[]),
        ("short.parquet", b"PAR1".to_vec(), &[]),
        ("unknown.xlsx", b"x".to_vec(), &["format"]),
    ];
    for (name, content, words) in cases {
        assert_has(&refused(&labelled(folder.file(name, content))), words, name);
    }
}

#[test]
fn unknown_labels_are_all_named() {
    let folder = Folder::new();
    let mut spec =
        labelled(folder.file("a.tsv", "text\tlabel\na\tyes\nb\tmaybe\nc\t7\nd\tmaybe\n"));
    spec.labels = Some(vec!["no".into(), "yes".into()]);
    assert_has(&refused(&spec), &["`maybe`", "`7`", "lines 3, 4, 5", "no, yes"], "labels");
}

#[test]
fn scores_are_finite_numbers() {
    let folder = Folder::new();
    for bad in ["nan", "inf", "-inf", "five", "1,5"] {
        let path = folder.file("scores.tsv", format!("text\tscore\na\t1\nb\t{bad}\n"));
        assert_has(&refused(&scored(path)), &["line 3", "score"], bad);
    }
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = Folder::new();
    let dir = folder.0.path().join("dir.tsv");
    std::fs::create_dir(&dir).expect("a folder");
    assert_has(&refused(&labelled(dir)), &["regular"], "a folder");
    assert_has(&refused(&labelled(folder.0.path().join("none.tsv"))), &["none.tsv"], "nothing");
}

/// Labels and how often each stands in a file.
type Counts = Vec<(&'static str, usize)>;

/// A file of the developers' data sets, its rows, and how often some labels stand in it, as their
/// README gives them; they were counted there with Python's own readers.
fn shared_cases(root: &Path) -> Vec<(FileSpec, usize, Counts)> {
    let index = |text, pair: Option<usize>, target| Columns {
        text: ColumnRef::Index(text).into(),
        text_pair: pair.map(|place| ColumnRef::Index(place).into()),
        target,
    };
    let name = |text: &str, pair: &str, label: &str| Columns {
        text: column(text),
        text_pair: (!pair.is_empty()).then(|| column(pair)),
        target: TargetColumn::Label(ColumnRef::Name(label.into())),
    };
    let score = |place| TargetColumn::Score(ColumnRef::Index(place));
    let spec = |path: &str, columns| FileSpec { columns, ..labelled(root.join(path)) };
    let tsv = Some(mlxq_eval::data::FileFormat::Tsv);
    vec![
        (
            FileSpec { format: tsv, ..spec("stsb/sts-dev.csv", index(5, Some(6), score(4))) },
            1500,
            vec![],
        ),
        (
            FileSpec { format: tsv, ..spec("stsb/sts-test.csv", index(5, Some(6), score(4))) },
            1379,
            vec![],
        ),
        (spec("stsb-multi/stsb-zh-dev.csv.gz", index(0, Some(1), score(2))), 1500, vec![]),
        (spec("sst2/dev.tsv", name("sentence", "", "label")), 872, vec![("0", 428), ("1", 444)]),
        (
            spec("mnli/dev-part.jsonl", name("premise", "hypothesis", "label")),
            2144,
            vec![("entailment", 763), ("neutral", 688), ("contradiction", 693)],
        ),
        (
            spec("rte/validation.parquet", name("sentence1", "sentence2", "label")),
            277,
            vec![("entailment", 146), ("not_entailment", 131)],
        ),
        (
            spec("rte/train.parquet", name("sentence1", "sentence2", "label")),
            2490,
            vec![("entailment", 1249), ("not_entailment", 1241)],
        ),
        (
            spec("mrpc/msr-para-test.tsv", name("#1 String", "#2 String", "Quality")),
            1725,
            vec![("0", 578), ("1", 1147)],
        ),
        (
            spec("banking77/test.csv", name("text", "", "category")),
            3080,
            vec![("card_arrival", 40)],
        ),
        (
            FileSpec {
                quoting: Some(true),
                // No header, other than its README says: 3201 rows, counted with Python's csv.
                ..spec("agnews/train.tsv", index(0, None, TargetColumn::Label(ColumnRef::Index(1))))
            },
            3201,
            vec![("World", 794), ("Sports", 747)],
        ),
        (
            FileSpec {
                delimiter: Some(b';'),
                format: tsv,
                ..spec("emotion/val.txt", index(0, None, TargetColumn::Label(ColumnRef::Index(1))))
            },
            2000,
            vec![("joy", 704), ("surprise", 81)],
        ),
    ]
}

#[test]
fn shared_data_sets_have_their_documented_rows() {
    let Some(root) = std::env::var_os("MLXQ_SHARED").map(|folder| Path::new(&folder).join("data"))
    else {
        return say_skipped();
    };
    for (spec, rows, counts) in shared_cases(&root) {
        let dataset = good(&spec);
        assert_eq!(dataset.rows_in_file, rows, "{}", spec.path.display());
        let found = labels_or_none(&dataset);
        for (label, count) in counts {
            let same = found.iter().filter(|other| **other == label).count();
            assert_eq!(same, count, "{label} in {}", spec.path.display());
        }
    }
    let hidden = FileSpec {
        columns: Columns {
            text: column("sentence1"),
            text_pair: Some(column("sentence2")),
            target: TargetColumn::Label(ColumnRef::Name("label".into())),
        },
        ..labelled(root.join("rte/test.parquet"))
    };
    assert_has(&refused(&hidden), &["no usable rows", "3000"], "hidden labels");
}

fn labels_or_none(dataset: &Dataset) -> Vec<&str> {
    if dataset.labels.is_empty() { Vec::new() } else { labels(dataset) }
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn say_skipped() {
    eprintln!("skipped: MLXQ_SHARED is not set");
}
