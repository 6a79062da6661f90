//! Lines through an engine that counts instead of computing, with the tokenizer of a tiny model, whose
//! vocabulary has every word used here.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use mlxq_engine::{
    Batch, Engine, EngineError, EngineInfo, Output, OutputKind, Tokenizer, Truncation,
};
use serde_json::{Value, json};

use super::*;
use crate::Silent;

/// Gives each row three logits: 0, the logarithm of the tokens of its second text with their last
/// special one, 0.
struct Counter {
    info: EngineInfo,
    /// Rows of each call.
    calls: Vec<usize>,
    /// Rows answered.
    answered: usize,
    /// The row that is refused, and the one whose logits are not finite, of all rows asked.
    refused: Option<usize>,
    infinite: Option<usize>,
}

impl Counter {
    fn new() -> Self {
        let info = EngineInfo {
            engine: "counter".to_owned(),
            version: String::new(),
            device: String::new(),
            threads: 1,
            output: OutputKind::Logits,
            labels: ["contradiction", "entailment", "neutral"].map(str::to_owned).to_vec(),
            settings: Vec::new(),
        };
        Self { info, calls: Vec::new(), answered: 0, refused: None, infinite: None }
    }
}

impl Engine for Counter {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn predict(&mut self, batch: &Batch) -> Result<Output, EngineError> {
        self.calls.push(batch.rows());
        let place = |row: usize| Some(self.answered + row);
        if let Some(row) = (0..batch.rows()).find(|row| self.refused == place(*row)) {
            return Err(EngineError::Row { row, reason: "is refused".to_owned() });
        }
        let mut output = Output { rows: batch.rows(), cols: 3, data: Vec::new() };
        for row in 0..batch.rows() {
            let segments = &batch.type_ids[batch.offsets[row]..batch.offsets[row + 1]];
            // A text by itself has no second.
            let count = segments.iter().sum::<u32>() as f32;
            let last = if self.infinite == place(row) { f32::INFINITY } else { 0.0 };
            output.data.extend([0.0, count.max(1.0).ln(), last]);
        }
        self.answered += batch.rows();
        Ok(output)
    }
}

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert-classify")
}

fn tokenizer(longest: usize) -> Tokenizer {
    let tokenizer = Tokenizer::open(&model(), Some(longest)).expect("a tokenizer");
    tokenizer.cutting(Truncation::OnlyFirst)
}

/// The question which of `labels`, being hypotheses themselves, fits.
fn zero_shot(engine: &Counter, labels: &str) -> ZeroShot {
    let head = Head::read(&model(), &engine.info.labels).expect("a head");
    let candidates = Candidates::new(Candidates::split(labels), "{}", false).expect("labels");
    candidates.ask(&head, None).expect("a question")
}

/// What was done, or the error, and the lines written before it.
fn run_until_error(
    engine: &mut Counter,
    question: Question,
    input: &str,
) -> (Result<Predicted, String>, Vec<Value>) {
    let (tokenizer, question) = (Arc::new(tokenizer(12)), Arc::new(question));
    let (input, mut output) = (Cursor::new(input.to_owned()), Vec::new());
    let done = Predictor { engine, tokenizer, question, batch_size: 5 }
        .run(Box::new(input), &mut output, &Silent)
        .map_err(|error| error.to_string());
    let lines = output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    (done, lines.map(|line| serde_json::from_slice(line).expect("JSON")).collect())
}

fn run(
    engine: &mut Counter,
    question: Question,
    input: &str,
) -> Result<(Predicted, Vec<Value>), String> {
    let (done, lines) = run_until_error(engine, question, input);
    Ok((done?, lines))
}

const CATS: &str = "{\"text\": \"a cat\"}\n\n{\"text\": \"no cat\"}\n{\"text\": \"cat\"}\n";

/// `dog` has one token and `a big dog` three, and each one special token more: 2 and 4.
#[test]
fn the_pairs_of_a_text_are_asked_together() {
    let mut engine = Counter::new();
    let asked = zero_shot(&engine, "dog, a big dog");
    let (done, lines) = run(&mut engine, Question::ZeroShot(asked), CATS).expect("answers");
    // Two texts of two labels each fill a batch of five rows; what has arrived depends on the threads.
    assert_eq!(engine.calls.iter().sum::<usize>(), 6);
    assert!(engine.calls.iter().all(|rows| [2, 4].contains(rows)), "{:?}", engine.calls);
    assert_eq!(done, Predicted { rows: 3, truncated: 0 });
    for (line, text) in lines.iter().zip(["a cat", "no cat", "cat"]) {
        assert_eq!(line["sequence"], text);
        assert_eq!(line["labels"], json!(["a big dog", "dog"]));
        for (score, expected) in [(&line["scores"][0], 4.0 / 6.0), (&line["scores"][1], 2.0 / 6.0)]
        {
            assert!((score.as_f64().expect("a score") - expected).abs() < 1e-6, "{line}");
        }
    }
}

/// Twelve tokens: three special ones, four of the longer hypothesis, five of the text.
#[test]
fn only_the_text_is_cut_and_each_line_counts_once() {
    let mut engine = Counter::new();
    let asked = zero_shot(&engine, "dog, the big old dog");
    let input = format!("{CATS}{{\"text\": \"{}\"}}\n", "cat ".repeat(6));
    let (done, lines) = run(&mut engine, Question::ZeroShot(asked), &input).expect("answers");
    assert_eq!(done, Predicted { rows: 4, truncated: 1 });
    let score = lines[3]["scores"][0].as_f64().expect("a score");
    assert!((score - 5.0 / 7.0).abs() < 1e-6, "the hypothesis has all its tokens: {score}");
}

#[test]
fn a_hypothesis_that_leaves_no_room_is_named() {
    let asked = zero_shot(&Counter::new(), "dog, cat cat cat cat cat cat cat cat cat");
    assert!(
        asked.check_lengths(&tokenizer(13)).is_ok(),
        "ten tokens for both, and three special ones"
    );
    let error = asked.check_lengths(&tokenizer(12)).expect_err("no room").to_string();
    assert!(error.contains("`cat cat") && error.contains("12 tokens"), "{error}");
}

#[test]
fn what_goes_wrong_names_line_and_label() {
    let fails = |change: fn(&mut Counter), input: &str| {
        let mut engine = Counter::new();
        change(&mut engine);
        let asked = zero_shot(&engine, "dog, big dog");
        let (done, lines) = run_until_error(&mut engine, Question::ZeroShot(asked), input);
        let error = done.expect_err("an error");
        // All lines before the bad one are answered: the second of [`CATS`] is blank.
        let bad = error.strip_prefix("input line ").and_then(|rest| rest[..1].parse().ok());
        let before = ["a cat", "no cat", "cat"].iter().zip([1, 3, 4]);
        let before: Vec<_> = before
            .filter(|(_, line)| bad.is_some_and(|bad| *line < bad))
            .map(|(text, _)| *text)
            .collect();
        assert_eq!(lines.iter().map(|line| &line["sequence"]).collect::<Vec<_>>(), before);
        error
    };
    // The fourth row is the second label of the second text, which is on line 3.
    let error = fails(|engine| engine.refused = Some(3), CATS);
    assert_eq!(error, "input line 3: with the label `big dog`: is refused");
    let error = fails(|engine| engine.infinite = Some(2), CATS);
    assert_eq!(error, "input line 3: with the label `dog`: the model gives inf at place 2");
    for (line, word) in [
        ("{\"text\": \"\"}", "empty text"),
        ("{\"text\": \"a\", \"text_pair\": \"b\"}", "`text_pair`"),
    ] {
        let error = fails(|_| {}, &format!("{CATS}{line}"));
        assert!(error.starts_with("input line 5: ") && error.contains(word), "{error}");
    }
    assert!(fails(|_| {}, "\n").contains("no text"));
}

#[test]
fn rows_of_a_head_are_named_by_their_lines() {
    let mut engine = Counter::new();
    engine.refused = Some(1);
    let question = Question::plain(&engine, &model()).expect("a head");
    let error = run(&mut engine, question, CATS).expect_err("an error");
    assert_eq!(error, "input line 3: is refused");
}
