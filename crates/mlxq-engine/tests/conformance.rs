//! The rules of engines see each fault: an engine of a few lines keeps them all, and breaks one with each
//! fault that is put into it.

use mlxq_engine::conformance::{Subject, broken_rules};
use mlxq_engine::{Batch, Engine, EngineError, EngineInfo, Output, OutputKind};

/// What is wrong with an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    NoDevice,
    OneLabel,
    OtherThreads,
    CountsCalls,
    CountsRowsBefore,
    PadsToTheLongest,
    SumsByThreads,
    DividesLongBatches,
    ColumnsOfNothing,
    TakesSegments,
    TakesIds,
    TakesNothing,
    NamesTheFirstRow,
    BreaksAtAnError,
    GivesNan,
}

/// Gives the sum of the ids and the number of tokens of each row.
struct Sums {
    fault: Fault,
    info: EngineInfo,
    calls: usize,
    failed: bool,
}

const VOCABULARY: u32 = 20;
const LONGEST: usize = 4;

fn open(fault: Fault, threads: usize) -> Result<Box<dyn Engine>, EngineError> {
    let labels = if fault == Fault::OneLabel { 1 } else { 2 };
    let info = EngineInfo {
        engine: "sums".to_owned(),
        version: "1".to_owned(),
        device: if fault == Fault::NoDevice { String::new() } else { "none".to_owned() },
        threads: if fault == Fault::OtherThreads { 1 } else { threads },
        output: OutputKind::Logits,
        labels: (0..labels).map(|label| format!("label {label}")).collect(),
        settings: Vec::new(),
    };
    Ok(Box::new(Sums { fault, info, calls: 0, failed: false }))
}

impl Sums {
    /// Why a row is bad.
    fn reason(&self, ids: &[u32], segments: &[u32]) -> Option<String> {
        let beyond = |numbers: &[u32], limit| numbers.iter().find(|x| **x >= limit).copied();
        let bad_id = beyond(ids, VOCABULARY).filter(|_| self.fault != Fault::TakesIds);
        let bad_segment = beyond(segments, 2).filter(|_| self.fault != Fault::TakesSegments);
        let empty = ids.is_empty() && self.fault != Fault::TakesNothing;
        let wrong_length = empty || ids.len() > LONGEST;
        let length = wrong_length.then(|| format!("{} tokens", ids.len()));
        length
            .or(bad_id.map(|id| format!("id {id}")))
            .or(bad_segment.map(|segment| format!("segment {segment}")))
    }
}

impl Engine for Sums {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn predict(&mut self, batch: &Batch) -> Result<Output, EngineError> {
        self.calls += 1;
        let mut data = Vec::new();
        let longest = batch.offsets.windows(2).map(|at| at[1] - at[0]).max().unwrap_or(0);
        for row in 0..batch.rows() {
            let part = batch.offsets[row]..batch.offsets[row + 1];
            let (ids, types) = (&batch.ids[part.clone()], &batch.type_ids[part]);
            if let Some(reason) = self.reason(ids, types) {
                self.failed = true;
                let row = if self.fault == Fault::NamesTheFirstRow { 0 } else { row };
                return Err(EngineError::Row { row, reason });
            }
            let more = match self.fault {
                Fault::CountsCalls => self.calls,
                Fault::CountsRowsBefore => row,
                Fault::PadsToTheLongest => longest,
                Fault::SumsByThreads => self.info.threads,
                Fault::DividesLongBatches if batch.tokens() > 500 => row * 2 / batch.rows(),
                Fault::BreaksAtAnError if self.failed => 1,
                _ => 0,
            };
            data.push(ids.iter().sum::<u32>() as f32 + more as f32 / 1024.0);
            data.push(if self.fault == Fault::GivesNan { f32::NAN } else { ids.len() as f32 });
        }
        let rows = batch.rows();
        let cols = if rows > 0 || self.fault == Fault::ColumnsOfNothing { 2 } else { 0 };
        Ok(Output { rows, cols, data })
    }
}

fn subject() -> Subject {
    let mut rows = Batch::new();
    rows.push(&[3, 7], &[0, 1]);
    rows.push(&[19], &[0]);
    rows.push(&[5, 0, 1, 2], &[0, 0, 1, 1]);
    Subject { rows, vocabulary: VOCABULARY, max_tokens: LONGEST, segments: Some(2), tolerance: 0.0 }
}

fn broken(fault: Fault, subject: &Subject) -> Vec<String> {
    broken_rules(&mut |threads| open(fault, threads), subject)
}

#[test]
fn a_good_engine_breaks_nothing() {
    assert_eq!(broken(Fault::None, &subject()), Vec::<String>::new());
}

#[test]
fn every_fault_breaks_a_rule() {
    for (fault, words) in [
        (Fault::NoDevice, "`device` is empty"),
        (Fault::OneLabel, "1 labels for 2 columns"),
        (Fault::OtherThreads, "1 threads, not 2"),
        (Fault::CountsCalls, "a call repeated gives the same: row 0"),
        (Fault::CountsRowsBefore, "the order of rows changes nothing: row 0"),
        (Fault::PadsToTheLongest, "the company of a row changes nothing: rows [0] together"),
        (Fault::SumsByThreads, "3 rows with 2 threads: row 0"),
        (Fault::DividesLongBatches, "429 rows with 1 threads: row 215"),
        (Fault::ColumnsOfNothing, "0 numbers as 0 rows of 2"),
        (Fault::TakesSegments, "segment 2 in row 1 is taken"),
        (Fault::TakesIds, "an id behind the last in row 0 is taken"),
        (Fault::TakesNothing, "a row without tokens in row 0 is taken"),
        (Fault::NamesTheFirstRow, "an id behind the last in row 1 gives `row 0: id 20`"),
        (Fault::BreaksAtAnError, "the engine goes on: row 0"),
        (Fault::GivesNan, "not all are numbers"),
    ] {
        let broken = broken(fault, &subject());
        assert!(broken.iter().any(|rule| rule.contains(words)), "{fault:?}: {broken:#?}");
    }
}

#[test]
fn an_engine_that_pads_passes_with_the_tolerance_it_asks_for() {
    let subject = Subject { tolerance: 1e-2, ..subject() };
    assert!(broken(Fault::PadsToTheLongest, &subject).is_empty());
}

#[test]
fn segments_that_are_passed_over_change_nothing() {
    let subject = Subject { segments: None, ..subject() };
    assert!(broken(Fault::TakesSegments, &subject).is_empty());
    assert!(broken(Fault::None, &subject)[0].contains("segments are checked, or passed over"));
}

#[test]
fn rows_that_show_nothing_are_no_subject() {
    let rows = subject().rows.slice(0..2);
    let broken = broken(Fault::None, &Subject { rows, ..subject() });
    assert!(broken.len() == 1 && broken[0].starts_with("the subject has rows of [2, 1] tokens"));
}
