//! The developers' data sets, against the counts that their README gives.

use std::path::Path;

use mlxq_eval::data::{ColumnRef, Columns, Dataset, FileSpec, TargetColumn};

use super::*;

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
    let root = std::env::var_os("MLXQ_SHARED").map(|folder| Path::new(&folder).join("data"));
    let Some(root) = root.filter(|root| root.is_dir()) else { return say_skipped() };
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
    eprintln!("skipped: MLXQ_SHARED names no folder");
}
