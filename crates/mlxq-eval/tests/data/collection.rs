//! Documents, queries and judgements.

use std::path::PathBuf;

use mlxq_eval::data::{Collection, CollectionSpec, Judgement, read_collection};

use super::{Folder, assert_has};

const CORPUS: &str = "{\"_id\": \"d1\", \"title\": \"One\", \"text\": \"first text\"}\n\
    {\"_id\": 2, \"title\": \"\", \"text\": \"second\"}\n\
    {\"_id\": \"d3\", \"title\": \" Third \", \"text\": \"\"}\n\
    {\"_id\": \"d4\", \"title\": \"\", \"text\": null}\n";
const QUERIES: &str = "{\"_id\": \"q1\", \"text\": \"a\"}\n{\"_id\": \"q2\", \"text\": \"b\"}\n\
    {\"_id\": \"q3\", \"text\": \"\"}\n{\"_id\": \"q4\", \"text\": \"d\"}\n{\"_id\": \"q5\", \"text\": \"e\"}\n";
const QRELS: &str =
    "query-id\tcorpus-id\tscore\nq1\td3\t2\nq1\t2\t0\nq2\td1\t0\nq3\td1\t1\nq5\td1\t4\n";

fn write(folder: &Folder, corpus: &str, queries: &str, qrels: &str) -> CollectionSpec {
    folder.file("corpus.jsonl", corpus);
    folder.file("queries.jsonl", queries);
    let path: PathBuf = folder.file("qrels.tsv", qrels);
    CollectionSpec::in_folder(path.parent().expect("a folder"), None).expect("a collection")
}

fn good(spec: &CollectionSpec) -> Collection {
    read_collection(spec).unwrap_or_else(|error| panic!("{error}"))
}

/// By hand.
#[test]
fn three_files_make_a_collection() {
    let folder = Folder::new();
    let spec = write(&folder, CORPUS, QUERIES, QRELS);
    let collection = good(&spec);
    let documents: Vec<_> =
        collection.documents.iter().map(|it| (it.id.as_str(), it.text.as_str())).collect();
    // Blank titles and texts leave no separator; an empty document stays, as it may be found.
    let expected = [("d1", "One first text"), ("2", "second"), ("d3", "Third"), ("d4", "")];
    assert_eq!(documents, expected);
    let queries: Vec<_> =
        collection.queries.iter().map(|query| (query.id.as_str(), query.row)).collect();
    assert_eq!(queries, [("q1", 0), ("q5", 4)]);
    let judged = |document, grade| Judgement { document, grade };
    let expected = [vec![judged(2, 2.0), judged(1, 0.0)], vec![judged(0, 4.0)]];
    assert_eq!(collection.judgements, expected);
    assert_eq!(collection.queries_in_file, 5);
    let skipped = &collection.skipped;
    assert_eq!((skipped["no relevant document"], skipped["empty text"]), (2, 1));
    assert_has(&collection.warnings()[0], &["3 of 5 queries", "5 %"], "skipped");
    let one = good(&CollectionSpec { max_samples: Some(1), ..spec });
    assert_eq!((one.queries.len(), one.judgements.len(), one.documents.len()), (1, 1, 4));
    let same = collection.queries.iter().position(|query| *query == one.queries[0]);
    assert_eq!(one.judgements[0], collection.judgements[same.expect("a query")]);
}

#[test]
fn packed_files_and_splits_are_found() {
    let folder = Folder::new();
    folder.file("corpus.jsonl.zst", zstd::encode_all(CORPUS.as_bytes(), 3).expect("memory"));
    folder.file("queries.jsonl", QUERIES);
    let path = folder.file("x", "");
    let root = path.parent().expect("a folder");
    std::fs::create_dir(root.join("qrels")).expect("a folder");
    folder.file("qrels/test.tsv", QRELS);
    let spec = CollectionSpec::in_folder(root, Some("test")).expect("a collection");
    assert_eq!(good(&spec).queries.len(), 2);
    let missing = CollectionSpec::in_folder(root, Some("dev")).expect_err("no such split");
    assert_has(&missing.to_string(), &["qrels.tsv", "qrels/dev.tsv"], "a split");
}

#[test]
fn collections_that_contradict_themselves_are_refused() {
    let head = "query-id\tcorpus-id\tscore\n";
    let twice = format!("{CORPUS}{{\"_id\": \"d1\", \"title\": \"\", \"text\": \"x\"}}\n");
    let qrels = |rows: &str| format!("{head}{rows}");
    let unknown = qrels("q1\td1\t1\nq1\td9\t1\nq9\td1\t1\n");
    for (corpus, queries, qrels, words) in [
        (
            CORPUS,
            QUERIES,
            unknown.as_str(),
            &["qrels.tsv", "2 judgements", "document `d9` (line 3)", "query `q9` (line 4)"][..],
        ),
        (CORPUS, QUERIES, &qrels("q1\td1\tnan\n"), &["line 2", "`nan`"]),
        (CORPUS, QUERIES, &qrels("q1\td1\t\n"), &["line 2", "finite"]),
        (CORPUS, QUERIES, &qrels("q1\td1\t1\nq1\td1\t2\n"), &["line 3", "judged before"]),
        (CORPUS, QUERIES, &qrels("q1\td1\t0\n"), &["no query has a relevant document"]),
        (CORPUS, QUERIES, head, &["no query"]),
        (CORPUS, QUERIES, "q1\td1\t1\n", &["line 1", "`query-id`"]),
        (&twice, QUERIES, QRELS, &["corpus.jsonl", "line 5", "`d1` stands twice"]),
        (
            "{\"_id\": \"\", \"title\": \"\", \"text\": \"x\"}\n",
            QUERIES,
            QRELS,
            &["line 1", "id is empty"],
        ),
        ("", QUERIES, QRELS, &["corpus.jsonl", "no rows"]),
        (CORPUS, "{\"text\": \"x\"}\n", QRELS, &["queries.jsonl", "line 1", "`_id`"]),
    ] {
        let folder = Folder::new();
        let error = read_collection(&write(&folder, corpus, queries, qrels));
        assert_has(&error.expect_err("a bad collection").to_string(), words, words);
    }
}
