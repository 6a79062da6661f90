//! Files that must be refused, with the place (bad data files, item by item).

use super::*;

#[test]
fn bad_files_are_refused_with_their_place() {
    let folder = Folder::new();
    let long = format!("text\tlabel\n{}\tx\n", "y".repeat((16 << 20) + 1));
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"text\tlabel\na\tx\nb\ty\n").expect("memory");
    let packed = packed.finish().expect("memory");
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
        (
            "large.jsonl",
            b"{\"text\":\"a\",\"label\":123456789012345678901}\n".to_vec(),
            &["line 1", "`label`", "64 bits"],
        ),
        ("beyond.jsonl", b"{\"text\":\"a\",\"label\":1e999}\n".to_vec(), &["line 1"]),
        ("noname.csv", b",text,label\n0,a,x\n".to_vec(), &["line 1", "no name for column 0"]),
        ("noname.tsv", b"text\t \tlabel\na\tb\tx\n".to_vec(), &["line 1", "column 1"]),
        ("twice.csv", b"text,label,text\na,b,c\n".to_vec(), &["line 1", "twice"]),
        (
            "real.tsv",
            b"text\tlabel\na\t-1\nb\t\n".to_vec(),
            &["no usable rows", "hidden", "no label"],
        ),
        ("cut.tsv.gz", packed[..packed.len() - 9].to_vec(), &[]),
        ("crc.tsv.gz", [&packed[..packed.len() - 8], &[0; 8]].concat(), &[]),
        ("more.tsv.gz", [&packed[..], b"garbage"].concat(), &[]),
        ("not.tsv.zst", b"no zstd".to_vec(), &[]),
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

/// As the test split of GLUE's STS-B has them.
#[test]
fn hidden_scores_are_refused_as_a_whole() {
    let folder = Folder::new();
    let rows = |score: &str| format!("text\tscore\na\t{score}\nb\t-1.0\n");
    let spec = scored(folder.file("scores.tsv", rows("-1")));
    assert_has(&refused(&spec), &["all 2 scores are hidden"], "hidden");
    assert_eq!(good(&scored(folder.file("scores.tsv", rows("0.5")))).rows.len(), 2);
}

/// One out of range, other ways of writing a number, another case.
#[test]
fn labels_that_are_nearly_ids_are_unknown() {
    let folder = Folder::new();
    for bad in ["1.0", "01x", "2", "NEG"] {
        let mut spec = labelled(folder.file("a.csv", format!("text,label\na,1\nb,{bad}\n")));
        spec.labels = Some(vec!["neg".into(), "pos".into()]);
        assert_has(&refused(&spec), &[&format!("`{bad}`"), "lines 3", "neg, pos"], bad);
    }
}

#[test]
fn messages_show_control_characters_as_text() {
    let folder = Folder::new();
    let mut spec = labelled(folder.file("a.tsv", "text\tlabel\na\t\u{1b}[31mred\n"));
    spec.labels = Some(vec!["\u{202e}x".into()]);
    let message = refused(&spec);
    assert!(!message.contains(['\u{1b}', '\u{202e}']), "{message:?}");
    let header = labelled(folder.file("b.tsv", "\u{1b}[2J\tlabel\na\tb\n"));
    assert!(!refused(&header).contains('\u{1b}'));
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let path = folder.0.path().join("pipe.tsv");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    assert_has(&refused(&labelled(path)), &["regular"], "a pipe");
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
