//! What every engine must do, as rules that any of them can be put through.
//!
//! The rules follow the contract of [`Engine`]; whether the numbers are right is for other tests, which
//! compare them with a peer. An engine's test asserts that [`broken_rules`] gives none.

use crate::{Batch, Engine, EngineError, Output, OutputKind};

/// What an engine is put through the rules with.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Rows that the model can take: at least 3, of different lengths, one of them of a single token
    /// and one of [`Self::max_tokens`].
    pub rows: Batch,
    /// Number of token ids.
    pub vocabulary: u32,
    /// The longest row of tokens.
    pub max_tokens: usize,
    /// Number of segments; `None` where the model passes over them.
    pub segments: Option<u32>,
    /// How far two computations of a row may be apart, relative to the largest number of the rows; 0 asks
    /// for the same bits, which an engine that pads its batches cannot promise.
    pub tolerance: f32,
}

/// Opens the engine with so many threads.
pub type Open<'a> = dyn FnMut(usize) -> Result<Box<dyn Engine>, EngineError> + 'a;

/// Tokens of a batch that is long enough to be divided among threads.
const MANY_TOKENS: usize = 1000;

/// A rule: an error is how it is broken.
type Rule = fn(&mut Open, &Subject, &Output) -> Result<(), String>;

const RULES: [(&str, Rule); 8] = [
    ("its information agrees with its outputs", information),
    ("a call repeated gives the same", repetition),
    ("the order of rows changes nothing", order),
    ("the company of a row changes nothing", company),
    ("the number of threads changes nothing", threads),
    ("a batch without rows gives no rows and no columns", no_rows),
    ("segments are checked, or passed over", segments),
    ("a bad row is named, and the engine goes on", bad_rows),
];

/// The rules that the engine breaks for `subject`, each with how; empty for a good engine.
///
/// `open` is called anew for each rule. The first thing that is checked is the subject itself, and that
/// the engine opens and takes its rows at all.
pub fn broken_rules(open: &mut Open, subject: &Subject) -> Vec<String> {
    let expected = subject.check().and_then(|()| {
        let output = predict(opened(open, 1)?.as_mut(), &subject.rows)?;
        well_formed(&output, subject.rows.rows())?;
        Ok(output)
    });
    let expected = match expected {
        Ok(expected) => expected,
        Err(reason) => return vec![reason],
    };
    let broken = |(name, rule): &(&str, Rule)| {
        rule(open, subject, &expected).err().map(|how| format!("{name}: {how}"))
    };
    RULES.iter().filter_map(broken).collect()
}

impl Subject {
    /// Whether the rows are what the rules need.
    fn check(&self) -> Result<(), String> {
        let lengths: Vec<usize> = self.rows.offsets.windows(2).map(|at| at[1] - at[0]).collect();
        let has = |length| lengths.contains(&length);
        if lengths.len() < 3 || !has(1) || !has(self.max_tokens) {
            let wanted = format!("3 rows and more, of 1 to {} tokens", self.max_tokens);
            return Err(format!("the subject has rows of {lengths:?} tokens, not {wanted}"));
        }
        Ok(())
    }

    /// Whether two outputs of the same rows are the same, as far as the engine promises.
    fn same(&self, ours: &Output, expected: &Output) -> Result<(), String> {
        if (ours.rows, ours.cols) != (expected.rows, expected.cols) {
            let shape = |output: &Output| format!("{} x {}", output.rows, output.cols);
            return Err(format!("{} numbers, not {}", shape(ours), shape(expected)));
        }
        let largest = expected.data.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let equal = |(a, b): (&f32, &f32)| {
            a.to_bits() == b.to_bits() || (a - b).abs() <= self.tolerance * largest
        };
        let at = ours.data.iter().zip(&expected.data).position(|pair| !equal(pair));
        at.map_or(Ok(()), |at| {
            let (row, cols) = (at / expected.cols.max(1), expected.cols);
            Err(format!(
                "row {row} of {cols} numbers is {}, was {}",
                ours.data[at], expected.data[at]
            ))
        })
    }
}

fn opened(open: &mut Open, threads: usize) -> Result<Box<dyn Engine>, String> {
    open(threads).map_err(|error| format!("does not open with {threads} threads: {error}"))
}

fn predict(engine: &mut dyn Engine, batch: &Batch) -> Result<Output, String> {
    engine.predict(batch).map_err(|error| format!("good rows are refused: {error}"))
}

/// The vectors of `rows`, finite numbers.
fn well_formed(output: &Output, rows: usize) -> Result<(), String> {
    let Output { rows: found, cols, data } = output;
    if *found != rows || *cols == 0 || data.len() != found * cols {
        let size = data.len();
        return Err(format!("{rows} rows give {size} numbers as {found} rows of {cols}"));
    }
    if data.iter().all(|x| x.is_finite()) { Ok(()) } else { Err("not all are numbers".to_owned()) }
}

/// The rows at `places` as a batch.
fn pick(rows: &Batch, places: impl IntoIterator<Item = usize>) -> Batch {
    let mut picked = Batch::new();
    for row in places {
        let part = rows.offsets[row]..rows.offsets[row + 1];
        picked.push(&rows.ids[part.clone()], &rows.type_ids[part]);
    }
    picked
}

/// The vectors at `places` as an output.
fn picked(output: &Output, places: &[usize]) -> Output {
    let data = places.iter().flat_map(|row| output.row(*row).iter().copied()).collect();
    Output { rows: places.len(), cols: output.cols, data }
}

fn information(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    for threads in [1, 2] {
        let mut engine = opened(open, threads)?;
        let info = engine.info().clone();
        if info.threads != threads {
            return Err(format!("{} threads, not {threads}", info.threads));
        }
        for (what, text) in
            [("engine", &info.engine), ("version", &info.version), ("device", &info.device)]
        {
            if text.is_empty() {
                return Err(format!("`{what}` is empty"));
            }
        }
        let labels = match info.output {
            OutputKind::Embedding => 0,
            OutputKind::Logits => expected.cols,
        };
        if info.labels.len() != labels {
            return Err(format!("{} labels for {} columns", info.labels.len(), expected.cols));
        }
        predict(engine.as_mut(), &subject.rows)?;
        if *engine.info() != info {
            return Err("a prediction changes it".to_owned());
        }
    }
    Ok(())
}

fn repetition(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let mut engine = opened(open, 2)?;
    for _ in 0..3 {
        subject.same(&predict(engine.as_mut(), &subject.rows)?, expected)?;
    }
    Ok(())
}

fn order(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let mut engine = opened(open, 2)?;
    let count = subject.rows.rows();
    let backwards: Vec<usize> = (0..count).rev().collect();
    let turned: Vec<usize> = (0..count).map(|place| (place + 1) % count).collect();
    for places in [backwards, turned] {
        let ours = predict(engine.as_mut(), &pick(&subject.rows, places.iter().copied()))?;
        subject.same(&ours, &picked(expected, &places))?;
    }
    Ok(())
}

fn company(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let mut engine = opened(open, 2)?;
    let count = subject.rows.rows();
    for row in 0..count {
        let other = (row + 1) % count;
        for places in [vec![row], vec![row, row], vec![other, row], vec![row, other, row, other]] {
            let ours = predict(engine.as_mut(), &pick(&subject.rows, places.iter().copied()))?;
            let verdict = subject.same(&ours, &picked(expected, &places));
            verdict.map_err(|how| format!("rows {places:?} together: {how}"))?;
        }
    }
    Ok(())
}

fn threads(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let count = subject.rows.rows();
    let rounds = MANY_TOKENS.div_ceil(subject.rows.tokens());
    // Every round begins with another row, so that each stands at many places.
    let many = (0..rounds).flat_map(|round| (0..count).map(move |row| (round + row) % count));
    let many: Vec<usize> = many.collect();
    let (batch, expected_of_many) =
        (pick(&subject.rows, many.iter().copied()), picked(expected, &many));
    for threads in [1, 2, 3, 7] {
        let mut engine = opened(open, threads)?;
        for (rows, expected) in [(&subject.rows, expected), (&batch, &expected_of_many)] {
            let verdict = subject.same(&predict(engine.as_mut(), rows)?, expected);
            let place = || format!("{} rows with {threads} threads", rows.rows());
            verdict.map_err(|how| format!("{}: {how}", place()))?;
        }
    }
    Ok(())
}

fn no_rows(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let mut engine = opened(open, 2)?;
    for _ in 0..2 {
        let ours = predict(engine.as_mut(), &Batch::new())?;
        if ours != Output::default() {
            let Output { rows, cols, data } = ours;
            return Err(format!("{} numbers as {rows} rows of {cols}", data.len()));
        }
        subject.same(&predict(engine.as_mut(), &subject.rows)?, expected)?;
    }
    Ok(())
}

fn segments(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let mut engine = opened(open, 2)?;
    let mut rows = subject.rows.clone();
    let Some(segments) = subject.segments else {
        rows.type_ids.iter_mut().for_each(|segment| *segment = 9);
        return subject.same(&predict(engine.as_mut(), &rows)?, expected);
    };
    for beyond in [segments, u32::MAX] {
        let (row, token) = (1, rows.offsets[1]);
        rows.type_ids[token] = beyond;
        refused(engine.as_mut(), &rows, row, &format!("segment {beyond}"))?;
    }
    subject.same(&predict(engine.as_mut(), &subject.rows)?, expected)
}

fn bad_rows(open: &mut Open, subject: &Subject, expected: &Output) -> Result<(), String> {
    let mut engine = opened(open, 2)?;
    let count = subject.rows.rows();
    let long = subject.max_tokens + 1;
    let bad: [(&str, Vec<u32>); 4] = [
        ("an id behind the last", vec![subject.vocabulary]),
        ("the greatest id", vec![u32::MAX]),
        ("a row too long", vec![0; long]),
        ("a row without tokens", Vec::new()),
    ];
    for (what, ids) in bad {
        for place in [0, 1, count] {
            let mut rows = pick(&subject.rows, 0..place);
            rows.push(&ids, &vec![0; ids.len()]);
            let behind = pick(&subject.rows, place..count);
            (0..behind.rows()).for_each(|row| {
                let part = behind.offsets[row]..behind.offsets[row + 1];
                rows.push(&behind.ids[part.clone()], &behind.type_ids[part]);
            });
            refused(engine.as_mut(), &rows, place, what)?;
        }
        subject.same(&predict(engine.as_mut(), &subject.rows)?, expected)?;
    }
    Ok(())
}

/// Whether the engine refuses `rows` with an error that names `row`, which is bad because of `what`.
fn refused(engine: &mut dyn Engine, rows: &Batch, row: usize, what: &str) -> Result<(), String> {
    let error = match engine.predict(rows) {
        Ok(_) => return Err(format!("{what} in row {row} is taken")),
        Err(error) => error.to_string(),
    };
    let named = format!("row {row}");
    let at = error.find(&named).map(|at| at + named.len());
    let whole = at.is_some_and(|at| !error[at..].starts_with(|next: char| next.is_ascii_digit()));
    if whole { Ok(()) } else { Err(format!("{what} in row {row} gives `{error}`")) }
}
