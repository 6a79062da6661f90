//! Single rows: every side's answer, and examples of those that changed.

use super::figure::right;
use super::{Case, Query, Side};
use crate::record::{Example, Sample, SideAnswer};
use crate::task::wide;

/// Changed rows that a record shows.
pub(super) const EXAMPLES: usize = 20;
/// Characters of a text that an example shows.
const SHOWN: usize = 200;

/// Every row's answers.
pub(super) fn samples(case: &Case, sides: &[Side]) -> Vec<Sample> {
    let rights: Vec<_> = sides.iter().map(|side| right(side.answers, case.references)).collect();
    let answer = |side: usize, row: usize| SideAnswer {
        prediction: sides[side].answers.said(row, case.labels),
        right: rights[side].as_ref().map(|right| right[row]),
        scores: scores(&sides[side], row),
    };
    let last = sides.len() - 1;
    let sample = |(row, query): (usize, &Query)| Sample {
        id: query.id.clone(),
        gold: case.references.gold(row, case.labels),
        torch: (last == 2).then(|| answer(0, row)),
        native_original: (!case.against_itself).then(|| answer(last - 1, row)),
        itself: case.against_itself.then(|| answer(last - 1, row)),
        converted: answer(last, row),
    };
    case.queries.iter().enumerate().map(sample).collect()
}

/// The numbers behind an answer.
fn scores(side: &Side, row: usize) -> Vec<f64> {
    match side.answers.numbers(row) {
        Some(numbers) => numbers,
        None => wide(side.output.row(row)),
    }
}

/// A row that two sides answer differently.
pub(super) fn example(case: &Case, sides: [&Side; 2], row: usize) -> Example {
    let Query { id, text, text_pair } = &case.queries[row];
    let [baseline, converted] = sides.map(|side| side.answers.said(row, case.labels));
    Example {
        id: id.clone(),
        text: cut(text),
        text_pair: text_pair.map(cut),
        gold: case.references.gold(row, case.labels),
        baseline,
        converted,
    }
}

/// The first 200 characters, with the number of those left out.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…(+{})", &text[..end], text[end..].chars().count()),
    }
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn long_texts_are_cut_and_say_so() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"é".repeat(203)), format!("{}…(+3)", "é".repeat(200)));
    }
}
