//! Which rows are used where fewer are asked for, and what is said of those left out.

use mlxq_eval::data::{FileSpec, Sampling};

use super::*;

/// 40 rows: of ten, six are `a`, three `b`, one `c`.
fn forty(folder: &Folder) -> FileSpec {
    let label = |row: usize| ["a", "a", "a", "a", "a", "a", "b", "b", "b", "c"][row % 10];
    let rows: String = (0..40).map(|row| format!("text {row}\t{}\n", label(row))).collect();
    labelled(folder.file("forty.tsv", format!("text\tlabel\n{rows}")))
}

fn ids(spec: &FileSpec) -> Vec<usize> {
    good(spec).rows.iter().map(|row| row.id).collect()
}

/// The ids come from the rule of `Sampling` written in Python: shares 7, 3 and 1, then SplitMix64.
#[test]
fn a_seeded_sample_has_the_labels_shares_in_file_order() {
    let folder = Folder::new();
    let some = |count, sampling| FileSpec { max_samples: Some(count), sampling, ..forty(&folder) };
    let seed = |seed| Sampling::Random { seed };
    assert_eq!(ids(&some(11, seed(42))), [1, 4, 9, 12, 13, 14, 17, 25, 28, 33, 36]);
    assert_eq!(ids(&some(11, seed(7))), [0, 1, 8, 9, 13, 16, 21, 22, 23, 26, 33]);
    assert_eq!(ids(&some(11, Sampling::default())), [1, 4, 9, 12, 13, 14, 17, 25, 28, 33, 36]);
    assert_eq!(ids(&some(11, Sampling::Head)), (0..11).collect::<Vec<_>>());
    for count in [40, 41] {
        assert_eq!(ids(&some(count, seed(42))), (0..40).collect::<Vec<_>>());
    }
    // The label list is the whole file's, whatever is drawn.
    assert_eq!(good(&some(2, seed(42))).labels, ["a", "b", "c"]);
}

/// As above, with one stratum of 20 rows.
#[test]
fn scores_are_sampled_without_strata() {
    let folder = Folder::new();
    let rows: String = (0..20).map(|row| format!("text {row}\t{row}\n")).collect();
    let spec = scored(folder.file("twenty.tsv", format!("text\tscore\n{rows}")));
    assert_eq!(ids(&FileSpec { max_samples: Some(5), ..spec }), [1, 4, 7, 8, 14]);
}

#[test]
fn unusable_rows_are_counted_of_the_whole_file_and_not_drawn() {
    let folder = Folder::new();
    let path = folder.file("a.tsv", "text\tlabel\n\tx\na\t-1\nb\tx\nc\t-\nd\ty\ne\tx\n");
    let head = FileSpec { max_samples: Some(2), sampling: Sampling::Head, ..labelled(path) };
    let dataset = good(&head);
    assert_eq!(texts(&dataset), ["b", "d"]);
    let warnings = dataset.warnings();
    assert_eq!(warnings.len(), 1);
    let words = ["3 of 6", "1: empty text", "1: no label", "1: the label is hidden (-1)", "5 %"];
    assert_has(&warnings[0], &words, "skipped");
}

#[test]
fn odd_data_sets_are_warned_of() {
    let folder = Folder::new();
    let warnings = |rows: &str| {
        good(&labelled(folder.file("a.tsv", format!("text\tlabel\n{rows}")))).warnings()
    };
    assert_eq!(warnings("a\tx\nb\ty\n"), Vec::<String>::new());
    assert_eq!(warnings("a\tx\n"), Vec::<String>::new());
    assert_has(&warnings("a\tx\nb\tx\n")[0], &["same label, `x`"], "one label");
    assert_has(&warnings("a\tx\na\ty\n")[0], &["same text"], "one text");
    // One row of twenty is 5 %, no more than that.
    let rows: String = (0..19).map(|row| format!("t{row}\t{}\n", row % 2)).collect();
    let few = warnings(&format!("{rows}x\t-1\n"));
    assert!(few.len() == 1 && few[0].contains("1 of 20") && !few[0].contains('%'), "{few:?}");
}
