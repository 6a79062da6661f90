//! `examples/datasets.yaml` reads what the developers' data sets hold: rows and labels are those that their
//! README counts, which was written without this program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use mlxq_eval::data::{Collection, Dataset, Target, read, read_collection};
use mlxq_pipeline::config::{Config, DatasetFiles, parse};

/// The example's configuration with its files in `shared`.
fn config(shared: &Path) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/datasets.yaml");
    let text = std::fs::read_to_string(&path).expect("the example");
    let text = text.replace("../../shared/", &format!("{}/", shared.display()));
    parse(&[(path, text)]).unwrap_or_else(|error| panic!("{error}"))
}

fn shared() -> Option<PathBuf> {
    let shared = std::env::var_os("MLXQ_SHARED").map(PathBuf::from);
    let shared = shared.filter(|shared| shared.is_dir());
    if shared.is_none() {
        say_skipped();
    }
    shared
}

#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
fn say_skipped() {
    eprintln!("skipped: MLXQ_SHARED names no folder");
}

fn rows(config: &Config, key: &str, split: &str) -> Result<Dataset, String> {
    let files = config.datasets[key].files(Some(split).filter(|split| !split.is_empty()), None);
    match files.unwrap_or_else(|error| panic!("{key} {split}: {error}")) {
        DatasetFiles::Rows(spec) => read(&spec).map_err(|error| error.to_string()),
        DatasetFiles::Collection(_) => panic!("{key} is a collection"),
    }
}

/// Key, split, rows, and how many rows have each label, in the order of the labels.
type Count = (&'static str, &'static str, usize, &'static [usize]);

const LABELLED: [Count; 32] = [
    ("sst2", "train", 8000, &[3565, 4435]),
    ("sst2", "validation", 872, &[428, 444]),
    ("sst2_sentences", "", 6920, &[3310, 3610]),
    ("mnli", "train", 7671, &[2716, 2435, 2520]),
    ("mnli", "validation", 2144, &[763, 688, 693]),
    ("snli", "", 9842, &[3329, 3235, 3278]),
    ("sick", "train", 4500, &[1299, 2536, 665]),
    ("sick", "validation", 500, &[144, 282, 74]),
    ("sick", "", 4927, &[1414, 2793, 720]),
    ("rte", "train", 2490, &[1249, 1241]),
    ("rte", "", 277, &[146, 131]),
    ("rte_tsv", "", 277, &[146, 131]),
    ("mrpc", "train", 3576, &[1169, 2407]),
    ("mrpc", "validation", 500, &[154, 346]),
    ("mrpc", "", 1725, &[578, 1147]),
    ("ag_news", "", 7600, &[1900, 1900, 1900, 1900]),
    // The README speaks of 3,200 rows and a header; its labels sum to 3,201, and there is no header.
    ("ag_news_train", "", 3201, &[794, 747, 839, 821]),
    ("trec", "train", 5452, &[1162, 1250, 86, 1223, 835, 896]),
    ("trec", "", 500, &[138, 94, 9, 65, 81, 113]),
    ("emotion", "train", 6000, &[1725, 2037, 489, 798, 704, 247]),
    ("emotion", "", 2000, &[550, 704, 178, 275, 212, 81]),
    ("emotion", "test", 2000, &[581, 695, 159, 275, 224, 66]),
    ("tweet_emotion_train", "", 3257, &[1400, 708, 294, 855]),
    ("tweet_emotion_validation", "", 374, &[160, 97, 28, 89]),
    ("tweet_emotion", "", 1421, &[558, 358, 123, 382]),
    ("banking77", "train", 10003, &[]),
    ("banking77", "", 3080, &[40; 77]),
    ("stsb", "train", 5749, &[]),
    ("stsb", "", 1500, &[]),
    ("stsb", "test", 1379, &[]),
    ("stsb_test", "", 1379, &[]),
    ("sick_relatedness", "", 4927, &[]),
];

#[test]
fn shared_rows_and_labels_are_as_counted() {
    let Some(shared) = shared() else { return };
    let config = config(&shared);
    for (key, split, expected, labels) in LABELLED {
        let data = rows(&config, key, split).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((data.rows.len(), data.rows_in_file), (expected, expected), "{key} {split}");
        let mut counts = vec![0; data.labels.len()];
        for row in &data.rows {
            if let Target::Label(label) = row.target {
                counts[label] += 1;
            }
        }
        if !labels.is_empty() {
            assert_eq!(counts, labels, "{key} {split}: {:?}", data.labels);
        }
    }
    let banking = rows(&config, "banking77", "train").expect("rows");
    assert_eq!(banking.labels.len(), 77);
    let sample = rows(&config, "banking77_sample", "").expect("rows");
    assert_eq!((sample.rows.len(), sample.rows_in_file), (4 * 77, 3080));
    let hidden = rows(&config, "rte", "test").expect_err("hidden labels");
    assert!(hidden.contains("all 3000 labels are hidden"), "{hidden}");
}

/// The English pairs are those of the tab-separated file; the packed Chinese ones have their scores.
#[test]
fn shared_translations_have_the_same_scores() {
    let Some(shared) = shared() else { return };
    let config = config(&shared);
    let english = rows(&config, "stsb", "").expect("rows");
    for key in ["stsb_en", "stsb_de", "stsb_zh"] {
        let other = rows(&config, key, "").expect(key);
        assert_eq!(other.rows.len(), 1500, "{key}");
        let same = english.rows.iter().zip(&other.rows);
        assert!(same.clone().all(|(a, b)| a.target == b.target), "{key}");
        let texts = same.filter(|(a, b)| a.text == b.text && a.text_pair == b.text_pair).count();
        assert_eq!(texts == 1500, key == "stsb_en", "{key}: {texts}");
    }
    let (parquet, tsv) = (rows(&config, "rte", "").expect("rte"), rows(&config, "rte_tsv", ""));
    assert_eq!(parquet.rows, tsv.expect("rte_tsv").rows);
}

#[test]
fn shared_rows_with_several_labels_are_as_counted() {
    let Some(shared) = shared() else { return };
    let config = config(&shared);
    for (split, expected) in [("train", 8000), ("", 5426), ("test", 5427)] {
        let data = rows(&config, "goemotions", split).expect("rows");
        assert_eq!(data.rows.len(), expected, "{split}");
        let sets: Vec<&Vec<usize>> = data
            .rows
            .iter()
            .map(|row| match &row.target {
                Target::Labels(labels) => labels,
                other => panic!("labels are wanted: {other:?}"),
            })
            .collect();
        if split.is_empty() {
            let of = |count| sets.iter().filter(|set| set.len() == count).count();
            assert_eq!([of(1), of(2), of(3), of(4)], [4548, 809, 62, 7]);
        }
        if split == "train" {
            let with = |label| sets.iter().filter(|set| set.contains(&label)).count();
            assert_eq!((with(21), with(16)), (17, 19), "pride and grief");
        }
    }
}

#[test]
fn shared_retrieval_is_as_counted() {
    let Some(shared) = shared() else { return };
    let files = config(&shared).datasets["cranfield"].files(None, None).expect("files");
    let DatasetFiles::Collection(spec) = files else { panic!("a collection is wanted") };
    let Collection { documents, queries, judgements, skipped, .. } =
        read_collection(&spec).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((documents.len(), queries.len(), skipped.len()), (1400, 225, 0));
    let all: Vec<_> = judgements.iter().flatten().collect();
    assert_eq!(all.len(), 1837);
    let of = |grade: f64| all.iter().filter(|judgement| judgement.grade == grade).count();
    assert_eq!([of(4.0), of(3.0), of(2.0), of(1.0)], [353, 387, 734, 363]);
}

/// Every data set of the example is in one of the tests above, and no file of the data is forgotten.
#[test]
fn shared_every_entry_and_every_file_is_covered() {
    let Some(shared) = shared() else { return };
    let config = config(&shared);
    let tested: BTreeSet<&str> = LABELLED
        .iter()
        .map(|(key, ..)| *key)
        .chain(["banking77_sample", "stsb_en", "stsb_de", "stsb_zh", "goemotions", "cranfield"])
        .collect();
    let own = config.datasets.iter().filter(|(_, it)| it.place.file.ends_with("datasets.yaml"));
    assert_eq!(own.map(|(key, _)| key.as_str()).collect::<BTreeSet<_>>(), tested);
    let example = include_str!("../../../examples/datasets.yaml");
    for folder in std::fs::read_dir(shared.join("data")).expect("the data") {
        let path = folder.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        if path.is_dir() {
            assert!(example.contains(&format!("shared/data/{name}")), "{name}");
        }
    }
}
