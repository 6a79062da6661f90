//! Presets and entries, down to the files that are read.

use std::path::{Path, PathBuf};

use mlxq_eval::data::{ColumnRef, Columns, Sampling, TargetColumn, read, read_collection};
use mlxq_eval::metric::Metric;

use super::*;
use crate::config::{Config, parse};

/// A configuration `all.yaml` in `folder` with the data set `d` of these keys.
fn config(folder: &Path, keys: &str) -> Result<Config, String> {
    let text = format!("datasets:\n  d: {{{keys}}}\n");
    parse(&[(folder.join("all.yaml"), text)]).map_err(|error| error.to_string())
}

fn dataset(folder: &Path, keys: &str) -> DatasetConfig {
    config(folder, keys).unwrap_or_else(|error| panic!("{keys}: {error}")).datasets["d"].clone()
}

fn files(folder: &Path, keys: &str, split: Option<&str>) -> Result<DatasetFiles, String> {
    dataset(folder, keys).files(split, None).map_err(|error| error.to_string())
}

fn row_files(folder: &Path, keys: &str, split: Option<&str>) -> FileSpec {
    match files(folder, keys, split) {
        Ok(DatasetFiles::Rows(spec)) => *spec,
        other => panic!("rows are wanted: {other:?}"),
    }
}

const COLUMNS: &str = "columns: {text: text, label: label}";

/// The original pipeline's keys (its data set file), each of which has a preset here.
const ORIGINAL: [&str; 11] = [
    "mnli",
    "snli",
    "sentiment",
    "sentiment_analysis",
    "semantic",
    "sts",
    "semantic_similarity",
    "zero_shot_clf",
    "zero_shot_clf_binary",
    "anli",
    "fever",
];

/// Whether a figure can be computed from such data.
fn suits(metric: Metric, form: &DatasetForm) -> bool {
    let DatasetForm::Rows(spec) = form else {
        return matches!(metric, Metric::Ndcg10 | Metric::Recall10 | Metric::Recall100);
    };
    match &spec.columns.target {
        TargetColumn::Score(_) => matches!(metric, Metric::Pearson | Metric::Spearman),
        TargetColumn::Labels(_) => matches!(metric, Metric::MicroF1 | Metric::MacroF1),
        TargetColumn::Label(_) => match metric {
            // Of the second class of two.
            Metric::BinaryF1 => spec.labels.as_ref().is_some_and(|labels| labels.len() == 2),
            Metric::Accuracy | Metric::BalancedAccuracy | Metric::MacroF1 | Metric::Matthews => {
                true
            }
            _ => false,
        },
    }
}

#[test]
fn presets_are_consistent() {
    let config = parse(&[]).expect("the presets");
    for key in ORIGINAL {
        assert!(config.datasets.contains_key(key), "{key}");
    }
    for (key, dataset) in &config.datasets {
        let DatasetSource::Hub { name, .. } = &dataset.source else {
            panic!("{key}: not the Hub's")
        };
        assert_eq!(name.split('/').count(), 2, "{key}: {name}");
        assert!(dataset.split.is_some() && !dataset.metrics.is_empty(), "{key}");
        for metric in &dataset.metrics {
            let metric = Metric::from_name(metric).unwrap_or_else(|why| panic!("{key}: {why}"));
            assert!(suits(metric, &dataset.form), "{key}: {metric:?}");
        }
        let DatasetForm::Rows(spec) = &dataset.form else { continue };
        let Columns { text, text_pair, target } = &spec.columns;
        let texts = [Some(text), text_pair.as_ref()].into_iter().flatten();
        let mut columns: Vec<_> = texts.flat_map(|text| &text.parts).collect();
        columns.push(target.column());
        for (at, column) in columns.iter().enumerate() {
            assert!(matches!(column, ColumnRef::Name(_)), "{key}: {column:?}");
            assert!(!columns[..at].contains(column), "{key}: {column:?} twice");
        }
        let labels = spec.labels.clone().unwrap_or_default();
        let scored = matches!(target, TargetColumn::Score(_));
        // Two sets hold their label names themselves.
        let named = ["newsgroups", "tweet_emoji"].contains(&key.as_str());
        assert_eq!(labels.is_empty(), scored || named, "{key}");
        assert!(dataset.candidates.keys().all(|label| labels.contains(label)), "{key}");
        let words = dataset.candidates.len();
        assert!(words == 0 || words == labels.len(), "{key}");
    }
}

/// Label orders as the catalogue of data sets gives them, where they are easily mistaken.
#[test]
fn presets_have_the_data_sets_label_orders() {
    let config = parse(&[]).expect("the presets");
    for (key, expected) in [
        ("mnli", "entailment, neutral, contradiction"),
        ("cb", "entailment, contradiction, neutral"),
        ("rte", "entailment, not_entailment"),
        ("wnli", "not_entailment, entailment"),
        ("sst2", "negative, positive"),
        ("boolq", "False, True"),
        ("trec", "ABBR, ENTY, DESC, HUM, LOC, NUM"),
        ("emotion", "sadness, joy, love, anger, fear, surprise"),
        ("ag_news", "World, Sports, Business, Sci/Tech"),
        ("tweet_emotion", "anger, joy, optimism, sadness"),
    ] {
        let DatasetForm::Rows(spec) = &config.datasets[key].form else { panic!("{key}") };
        assert_eq!(spec.labels.as_ref().expect(key).join(", "), expected, "{key}");
    }
    for (key, count) in [("banking77", 77), ("trec_fine", 50), ("dbpedia_14", 14)] {
        let DatasetForm::Rows(spec) = &config.datasets[key].form else { panic!("{key}") };
        assert_eq!(spec.labels.as_ref().expect(key).len(), count, "{key}");
    }
}

#[test]
fn a_users_entry_replaces_a_preset() {
    let text =
        "datasets:\n  mnli: {provider: local, path: x.jsonl, columns: {text: a, label: b}}\n";
    let config = parse(&[("all.yaml".into(), text.to_owned())]).expect("good");
    assert_eq!(config.datasets["mnli"].source, DatasetSource::Local("x.jsonl".into()));
    assert!(config.datasets["mnli"].metrics.is_empty());
    // A file of models alone takes presets, and a conversion does not mind what it does not know.
    let model = "models:\n  - {name: m, path: m, task: nli, benchmarks: [snli, mnil]}\n";
    let config = parse(&[("all.yaml".into(), model.to_owned())]).expect("good");
    let error = config.check_benchmarks().expect_err("an unknown benchmark").to_string();
    assert!(error.contains("`mnil`") && error.contains("`mnli`"), "{error}");
}

#[test]
fn local_splits_are_chosen_by_name() {
    let keys = |more: &str| {
        format!("provider: local, splits: {{validation: v.csv, test: t.csv}}, {COLUMNS}{more}")
    };
    let folder = Path::new("dir");
    let path = |keys: &str, split| row_files(folder, keys, split).path;
    assert_eq!(path(&keys(""), None), Path::new("dir/v.csv"));
    assert_eq!(path(&keys(", split: test"), None), Path::new("dir/t.csv"));
    assert_eq!(path(&keys(""), Some("test")), Path::new("dir/t.csv"));
    let only = format!("provider: local, splits: {{dev: d.csv}}, {COLUMNS}");
    assert_eq!(path(&only, None), Path::new("dir/d.csv"));
    let error = files(folder, &keys(""), Some("train")).expect_err("no such split");
    assert!(error.contains("`train`") && error.contains("`test`, `validation`"), "{error}");
}

#[test]
fn every_key_reaches_the_reader() {
    let spec = row_files(
        Path::new("dir"),
        "provider: local, path: a.txt, labels_path: b.txt, format: lines, encoding: latin-1, \
         labels: [x, y], first_id: 1, label_separator: '|', max_samples: 7, seed: 3, keep_empty: true",
        None,
    );
    assert_eq!(spec.labels_path.as_deref(), Some(Path::new("dir/b.txt")));
    assert_eq!((spec.first_id, spec.label_separator.as_str()), (1, "|"));
    assert_eq!((spec.max_samples, spec.sampling), (Some(7), Sampling::Random { seed: 3 }));
    assert_eq!(spec.columns.text, ColumnRef::Name("text".into()).into());
    let joined = row_files(
        Path::new("dir"),
        "provider: local, path: a.csv, sample: head, \
         columns: {text: [1, 2], separator: '. ', text_pair: 3, label: 0}",
        None,
    );
    let parts = vec![ColumnRef::Index(1), ColumnRef::Index(2)];
    assert_eq!(joined.columns.text, TextColumns { parts, separator: ". ".to_owned() });
    assert_eq!(joined.sampling, Sampling::Head);
    let limited = |count| match files(
        Path::new(""),
        "provider: local, path: a.csv, max_samples: 5, columns: {text: 0, score: 1}",
        None,
    ) {
        Ok(files) => match files.limited(count, None) {
            DatasetFiles::Rows(spec) => spec.max_samples,
            DatasetFiles::Collection(_) => None,
        },
        Err(error) => panic!("{error}"),
    };
    assert_eq!([limited(None), limited(Some(3)), limited(Some(9))], [Some(5), Some(3), Some(5)]);
}

#[test]
fn entries_that_make_no_sense_are_refused() {
    for (keys, words) in [
        ("provider: local, columns: {text: a, label: b}", "`path` is missing"),
        ("provider: lokal, path: x, columns: {text: a, label: b}", "lokal"),
        ("provider: local, path: x, splits: {a: b}, columns: {text: a, label: b}", "exclude"),
        ("provider: local, path: x, split: test, columns: {text: a, label: b}", "`splits`"),
        ("provider: local, splits: {a: x}, split: b, columns: {text: a, label: b}", "`b`"),
        (
            "provider: local, splits: {a: x}, threshold_split: b, columns: {text: a, label: b}",
            "`b`",
        ),
        ("provider: local, path: x.csv", "`columns` are missing"),
        ("provider: local, path: x.csv, columns: {label: b}", "`columns` need `text`"),
        ("provider: local, path: x.csv, columns: {text: [], label: b}", "no columns"),
        ("provider: local, path: x.csv, columns: {text: a, label: b, score: c}", "one of"),
        ("provider: local, path: x, format: xlsx, columns: {text: a, label: b}", "lines"),
        ("provider: local, path: x, encoding: utf-7, columns: {text: a, label: b}", "latin-1"),
        ("provider: local, path: x, delimiter: ab, columns: {text: a, label: b}", "one byte"),
        ("provider: local, path: x, labels: [a, b, a], columns: {text: a, label: b}", "`a` twice"),
        ("provider: local, path: x, label_separator: '', columns: {text: a, labels: b}", "empty"),
        ("provider: local, path: x, sample: tail, columns: {text: a, label: b}", "`tail`"),
        ("provider: local, path: x, sample: head, seed: 1, columns: {text: a, label: b}", "seed"),
        ("provider: local, path: x, max_samples: 0, columns: {text: a, label: b}", "max_samples"),
        ("provider: local, path: x, first_id: -1, columns: {text: a, label: b}", ""),
        ("provider: local, splits: {a: x}, labels_path: y", "labels_path"),
        ("provider: huggingface, columns: {text: a, label: b}", "`name`"),
        ("provider: huggingface, name: a/b, path: x, columns: {text: a, label: b}", "local"),
        ("provider: local, path: x, lables: [a], columns: {text: a, label: b}", "`labels`"),
    ] {
        let error = config(Path::new("dir"), keys).expect_err(keys);
        assert!(error.contains("all.yaml") && error.contains(words), "{keys}: {error}");
    }
}

/// Writes `files` into a new folder.
fn mirror(files: &[(&str, &str)]) -> tempfile::TempDir {
    let mirror = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path: PathBuf = mirror.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    mirror
}

#[test]
fn the_hubs_rows_are_read_from_a_mirror() {
    let row = |text: &str, label| format!("{{\"text\": \"{text}\", \"label\": {label}}}\n");
    let mirror = mirror(&[
        ("own/set/en/test-00000-of-00002.jsonl", &row("a", 1)),
        ("own/set/en/test-00001-of-00002.jsonl", &(row("b", 0) + &row("c", 1))),
        ("own/set/data/dev.jsonl", &row("d", 0)),
    ]);
    let root = mirror.path();
    let read_rows = |keys: &str, split| {
        let text = format!(
            "mirror: {}\ndatasets:\n  d: {{provider: huggingface, name: own/set, {keys}, {COLUMNS}, labels: [no, yes]}}\n",
            root.display()
        );
        let config = parse(&[("all.yaml".into(), text)]).expect("good");
        let files = config.datasets["d"].files(split, None).map_err(|error| error.to_string())?;
        let DatasetFiles::Rows(spec) = files else { panic!("rows are wanted") };
        let data = read(&spec).map_err(|error| error.to_string())?;
        let rows = data.rows.into_iter();
        Ok::<_, String>(rows.map(|row| (row.id, row.text)).collect::<Vec<_>>())
    };
    let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(id, text)| (id, text.to_owned()));
    assert_eq!(read_rows("subset: en, split: test", None).as_deref(), Ok(&expected[..]));
    let dev = [(0, "d".to_owned())];
    assert_eq!(read_rows("splits: {validation: dev}", None).as_deref(), Ok(&dev[..]));
    assert_eq!(read_rows("split: test", Some("dev")).as_deref(), Ok(&dev[..]));
    let error = read_rows("subset: en", None).expect_err("no such split");
    assert!(error.contains("`validation`") && error.contains("en"), "{error}");
}

#[test]
fn without_a_mirror_the_error_says_what_to_do() {
    let config = parse(&[]).expect("the presets");
    let error = config.datasets["mnli"].files(None, None).expect_err("not here").to_string();
    for word in ["nyu-mll/multi_nli", "cannot fetch", "MLXQ_DATASET_MIRROR", "provider: local"] {
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn collections_are_read_from_folders_and_from_a_mirror() {
    let corpus = "{\"_id\": \"d1\", \"title\": \"T\", \"text\": \"one\"}\n{\"_id\": \"d2\", \"title\": \"\", \"text\": \"two\"}\n";
    let queries = "{\"_id\": \"q1\", \"text\": \"find\"}\n";
    let tsv = "query-id\tcorpus-id\tscore\nq1\td2\t1\n";
    let jsonl = "{\"query-id\": \"q1\", \"corpus-id\": \"d2\", \"score\": 1}\n";
    let mirror = mirror(&[
        ("plain/corpus.jsonl", corpus),
        ("plain/queries.jsonl", queries),
        ("plain/qrels.tsv", tsv),
        ("own/beir/corpus.jsonl", corpus),
        ("own/beir/queries.jsonl", queries),
        ("own/beir/qrels/test.tsv", tsv),
        ("own/mteb/corpus/corpus-00000-of-00001.jsonl", corpus),
        ("own/mteb/queries/queries-00000-of-00001.jsonl", queries),
        ("own/mteb/data/test-00000-of-00001.jsonl", jsonl),
    ]);
    let root = mirror.path();
    for keys in [
        "provider: local, path: plain",
        "provider: huggingface, name: own/beir, split: test",
        "provider: huggingface, name: own/mteb, split: test",
    ] {
        for (columns, first) in [("", "T one"), (", columns: {text: text}", "one")] {
            let keys = format!("{keys}, format: collection{columns}");
            let mut config = config(root, &keys).expect("good");
            config.use_mirror(Some(root.to_owned()));
            let files = config.datasets["d"].files(None, None).expect("files");
            let DatasetFiles::Collection(spec) = files else { panic!("a collection is wanted") };
            let read = read_collection(&spec).unwrap_or_else(|error| panic!("{keys}: {error}"));
            let texts: Vec<_> = read.documents.iter().map(|document| &document.text).collect();
            assert_eq!(texts, [first, "two"], "{keys}");
            assert_eq!(read.judgements[0][0].document, 1, "{keys}");
        }
    }
}
