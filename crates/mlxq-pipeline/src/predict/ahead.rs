//! What is read and tokenized while the engine computes.

use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use mlxq_engine::{Batch, Encoding, TOKENS_AT_ONCE, Tokenizer};

use super::lines::{Lines, Request};
use super::{PredictError, Question};

/// A line and its rows of tokens.
pub(super) struct Asked {
    pub(super) request: Request,
    encodings: Vec<Encoding>,
}

impl Asked {
    /// Tokenizes what `question` asks about `request`.
    fn new(
        request: Request,
        question: &Question,
        tokenizer: &Tokenizer,
    ) -> Result<Self, PredictError> {
        let encodings = question.encode(&request, tokenizer)?;
        if let Some(row) = encodings.iter().position(|encoding| encoding.ids.is_empty()) {
            let reason = "has no token: this tokenizer adds none to an empty text";
            return Err(question.refuse(&request, row, reason));
        }
        Ok(Self { request, encodings })
    }

    /// Whether a text of the line was cut.
    pub(super) fn truncated(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.truncated)
    }

    fn tokens(&self) -> usize {
        self.encodings.iter().map(|encoding| encoding.ids.len()).sum()
    }

    /// All rows of `asked`, line after line.
    pub(super) fn batch(asked: &[Self]) -> Batch {
        let mut batch = Batch::new();
        for encoding in asked.iter().flat_map(|asked| &asked.encodings) {
            batch.push(&encoding.ids, &encoding.type_ids);
        }
        batch
    }
}

/// The lines of an input in order, read and tokenized by a thread of their own up to a batch ahead, the
/// first error last.
pub(super) struct Ahead {
    lines: Receiver<Result<Asked, PredictError>>,
    /// What came and did not fit the batch before.
    kept: Option<Result<Asked, PredictError>>,
}

impl Ahead {
    /// Begins to read `input`; at most `lines` lines wait to be taken. The thread is not waited for: it
    /// may be waiting for input, and ends when it has some and nobody wants it.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(
        input: Box<dyn Read + Send>,
        question: &Arc<Question>,
        tokenizer: &Arc<Tokenizer>,
        lines: usize,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(lines);
        let (question, tokenizer) = (Arc::clone(question), Arc::clone(tokenizer));
        let read = move || send_all(input, &question, &tokenizer, &sender);
        std::thread::Builder::new().name("mlxq-read".to_owned()).spawn(read)?;
        Ok(Self { lines: receiver, kept: None })
    }

    /// The lines that are computed next: those that are there, in order, as long as they have no more than
    /// `rows` rows and [`TOKENS_AT_ONCE`] tokens together, but one at least. If there is none yet it calls
    /// `idle` and waits for one. None at the end of the input.
    ///
    /// # Errors
    /// When the line whose turn it is cannot be asked about, or `idle` fails.
    pub(super) fn take(
        &mut self,
        rows: usize,
        idle: impl FnOnce() -> std::io::Result<()>,
    ) -> Result<Vec<Asked>, PredictError> {
        let first = match self.kept.take().map_or_else(|| self.lines.try_recv(), Ok) {
            Ok(first) => first?,
            Err(TryRecvError::Disconnected) => return Ok(Vec::new()),
            Err(TryRecvError::Empty) => {
                idle()?;
                let Ok(first) = self.lines.recv() else { return Ok(Vec::new()) };
                first?
            }
        };
        let (mut rows_left, mut tokens_left) = (rows, TOKENS_AT_ONCE);
        let mut fits = |asked: &Asked| {
            let (rows, tokens) = (asked.encodings.len(), asked.tokens());
            let fits = rows <= rows_left && tokens <= tokens_left;
            rows_left = rows_left.saturating_sub(rows);
            tokens_left = tokens_left.saturating_sub(tokens);
            fits
        };
        fits(&first);
        let mut taken = vec![first];
        while let Ok(next) = self.lines.try_recv() {
            match next {
                Ok(asked) if fits(&asked) => taken.push(asked),
                other => {
                    self.kept = Some(other);
                    break;
                }
            }
        }
        Ok(taken)
    }
}

/// Sends every line of `input`, until one is an error or nobody listens.
fn send_all(
    input: Box<dyn Read + Send>,
    question: &Question,
    tokenizer: &Tokenizer,
    sender: &SyncSender<Result<Asked, PredictError>>,
) {
    let mut lines = Lines::new(input);
    while let Some(request) = lines.next().transpose() {
        let asked = request.and_then(|request| Asked::new(request, question, tokenizer));
        let failed = asked.is_err();
        if sender.send(asked).is_err() || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines that have arrived, by the number of tokens of each of their rows.
    fn arrived(lines: &[&[usize]]) -> Ahead {
        let (sender, receiver) = sync_channel(lines.len() + 1);
        for (place, rows) in lines.iter().enumerate() {
            let request = Request { text: String::new(), text_pair: None, line: place + 1 };
            let row = |tokens: &usize| {
                let (ids, type_ids) = (vec![1; *tokens], vec![0; *tokens]);
                Encoding { ids, type_ids, truncated: false }
            };
            let asked = Asked { request, encodings: rows.iter().map(row).collect() };
            sender.send(Ok(asked)).expect("room");
        }
        Ahead { lines: receiver, kept: None }
    }

    /// The lines of each batch, until the input ends.
    fn batches(mut ahead: Ahead, rows: usize) -> Vec<Vec<usize>> {
        let take = || {
            let taken = ahead.take(rows, || panic!("nothing is waited for")).expect("lines");
            let lines: Vec<_> = taken.iter().map(|asked| asked.request.line).collect();
            (!lines.is_empty()).then_some(lines)
        };
        std::iter::from_fn(take).collect()
    }

    #[test]
    fn a_batch_ends_by_rows() {
        let one: &[usize] = &[4];
        assert_eq!(batches(arrived(&[one; 5]), 2), [vec![1, 2], vec![3, 4], vec![5]]);
        assert_eq!(batches(arrived(&[&[4, 4], &[4, 4], &[4, 4]]), 5), [vec![1, 2], vec![3]]);
        assert_eq!(batches(arrived(&[&[4, 4], one, &[4; 9]]), 1), [vec![1], vec![2], vec![3]]);
        assert!(batches(arrived(&[]), 3).is_empty());
    }

    /// By hand: three rows of 5,000 tokens are below 16,384, four are not; 20,000 go alone.
    #[test]
    fn a_batch_ends_by_tokens() {
        let long: &[usize] = &[5_000];
        let lines = [long, long, long, long, &[20_000], &[10_000, 7_000], &[1], &[1]];
        let expected = [vec![1, 2, 3], vec![4], vec![5], vec![6], vec![7, 8]];
        assert_eq!(batches(arrived(&lines), 32), expected);
    }

    #[test]
    fn an_error_waits_for_its_turn() {
        let (sender, receiver) = sync_channel(3);
        let first = arrived(&[&[2], &[2]]);
        for _ in 0..2 {
            let asked = first.lines.recv().expect("a line");
            sender.send(asked).expect("room");
        }
        sender.send(Err(PredictError::NoText)).expect("room");
        let mut ahead = Ahead { lines: receiver, kept: None };
        assert_eq!(ahead.take(8, || Ok(())).expect("two lines").len(), 2);
        assert!(matches!(ahead.take(8, || Ok(())), Err(PredictError::NoText)));
    }
}
