//! The rows of a data set as token ids, with the time that making them took.

use std::path::Path;
use std::time::{Duration, Instant};

use mlxq_engine::{Batch, Encoding, MaxLength, Tokenizer};

use crate::PipelineError;
use crate::task::{Questions, TextRow};

/// A data set ready for engines.
pub(super) struct EncodedRows {
    /// All token rows: those of the queries, then those that are not timed.
    pub(super) batch: Batch,
    /// Token rows of one query.
    pub(super) rows_per_query: usize,
    /// Time that tokenizing each query took.
    pub(super) tokenizing: Vec<Duration>,
    /// Texts that were cut.
    pub(super) truncated: usize,
    /// The longest row, and what decided it.
    pub(super) max_length: MaxLength,
}

impl EncodedRows {
    /// Encodes every row with the tokenizer of the model folder `model`.
    ///
    /// # Errors
    /// When the folder has no tokenizer, or a text cannot be encoded.
    pub(super) fn encode(
        questions: &Questions,
        model: &Path,
        max_length: Option<usize>,
    ) -> Result<Self, PipelineError> {
        let tokenizer = Tokenizer::open(model, max_length)?.cutting(questions.truncation);
        let mut encoded = Self {
            batch: Batch::new(),
            rows_per_query: questions.rows_per_query,
            tokenizing: Vec::with_capacity(questions.rows.len() / questions.rows_per_query),
            truncated: 0,
            max_length: tokenizer.max_length().clone(),
        };
        for query in questions.rows.chunks(questions.rows_per_query) {
            let begun = Instant::now();
            let encode = |(text, pair): &TextRow| tokenizer.encode(text, pair.as_deref());
            let encodings = query.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
            encoded.tokenizing.push(begun.elapsed());
            encodings.iter().for_each(|encoding| encoded.push(encoding));
        }
        for (text, pair) in &questions.extra {
            encoded.push(&tokenizer.encode(text, pair.as_deref())?);
        }
        Ok(encoded)
    }

    fn push(&mut self, encoding: &Encoding) {
        self.truncated += usize::from(encoding.truncated);
        self.batch.push(&encoding.ids, &encoding.type_ids);
    }
}
