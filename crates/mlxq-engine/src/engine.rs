//! The contract of everything that predicts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::EngineError;

/// The most tokens that go through an engine at once, 32 rows as long as BERT takes them: it bounds the
/// memory of long rows.
pub const TOKENS_AT_ONCE: usize = 16_384;

/// Token rows of different lengths, end to end; no padding.
///
/// Row `r` is `ids[offsets[r]..offsets[r + 1]]`. Padding is an engine's private matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Token ids, `[tokens]`.
    pub ids: Vec<u32>,
    /// Segment of each token (0 or 1), `[tokens]`.
    pub type_ids: Vec<u32>,
    /// Start of each row and the end of the last, `[rows + 1]`, beginning with 0.
    pub offsets: Vec<usize>,
}

impl Batch {
    /// A batch without rows.
    pub fn new() -> Self {
        Self { offsets: vec![0], ..Self::default() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Number of tokens in all rows.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Appends a row of token ids with their segments, which are as many.
    pub fn push(&mut self, ids: &[u32], type_ids: &[u32]) {
        debug_assert_eq!(ids.len(), type_ids.len());
        self.ids.extend_from_slice(ids);
        self.type_ids.extend_from_slice(type_ids);
        self.offsets.push(self.ids.len());
    }

    /// Ranges of rows that follow each other and are all rows together, each of at most `rows` rows, at
    /// least 1, and of no more than `tokens` tokens unless it is one row.
    pub fn parts(&self, rows: usize, tokens: usize) -> impl Iterator<Item = Range<usize>> {
        let mut end = 0;
        std::iter::from_fn(move || {
            let start = end;
            if start >= self.rows() {
                return None;
            }
            let last = self.rows().min(start + rows.max(1));
            let limit = self.offsets[start] + tokens;
            let fitting = self.offsets[start..=last].partition_point(|offset| *offset <= limit);
            end = (start + fitting - 1).max(start + 1);
            Some(start..end)
        })
    }

    /// The rows `range` as a batch of their own.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let (start, end) = (self.offsets[range.start], self.offsets[range.end]);
        Self {
            ids: self.ids[start..end].to_vec(),
            type_ids: self.type_ids[start..end].to_vec(),
            offsets: self.offsets[range.start..=range.end].iter().map(|at| at - start).collect(),
        }
    }
}

/// One vector per row: an embedding or a row of logits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Number of vectors.
    pub rows: usize,
    /// Length of each vector.
    pub cols: usize,
    /// The vectors, `[rows, cols]`.
    pub data: Vec<f32>,
}

impl Output {
    /// The vector of row `row`.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.cols..(row + 1) * self.cols]
    }
}

/// What the vectors of an [`Output`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A sentence embedding.
    Embedding,
    /// Scores of a classification head, before softmax.
    Logits,
}

/// Which engine runs, and how: part of every record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// `native` or `torch`.
    pub engine: String,
    /// The engine's version and those of the libraries under it, for people.
    pub version: String,
    /// Instruction set or device that computes.
    pub device: String,
    /// Number of threads it computes with.
    pub threads: usize,
    /// What its outputs are.
    pub output: OutputKind,
    /// Names of the logits in id order; empty for embeddings.
    pub labels: Vec<String>,
    /// Further settings worth recording: attention implementation, dtype, pooling.
    pub settings: Vec<(String, String)>,
}

impl EngineInfo {
    /// The setting called `key`.
    pub fn setting(&self, key: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// Something that turns token rows into vectors.
pub trait Engine: Send {
    /// What runs here.
    fn info(&self) -> &EngineInfo;

    /// One vector per row, in order; of a batch without rows, `Output::default()`. The same row gives the
    /// same bits whatever it is batched with. [`crate::conformance`] has these rules as a test.
    ///
    /// # Errors
    /// When a token id or length is outside the model, or the engine fails.
    fn predict(&mut self, batch: &Batch) -> Result<Output, EngineError>;
}

#[cfg(test)]
mod tests {
    use super::Batch;

    /// By hand.
    #[test]
    fn parts_end_by_rows_and_by_tokens() {
        let mut batch = Batch::new();
        for tokens in [3, 3, 3, 1, 9, 0, 5, 4] {
            batch.push(&vec![1; tokens], &vec![0; tokens]);
        }
        let parts = |rows, tokens| batch.parts(rows, tokens).collect::<Vec<_>>();
        assert_eq!(parts(8, 7), [0..2, 2..4, 4..5, 5..7, 7..8]);
        assert_eq!(parts(8, 9), [0..3, 3..4, 4..6, 6..8]);
        assert_eq!(parts(3, 100), [0..3, 3..6, 6..8]);
        assert_eq!(parts(0, 0).len(), 8);
        assert_eq!(Batch::new().parts(2, 2).count() + Batch::default().parts(2, 2).count(), 0);
    }
}
