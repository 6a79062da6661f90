//! The rows of a data set as token ids, with the time that making them took.

use std::path::Path;
use std::time::{Duration, Instant};

use mlxq_engine::{Batch, MaxLength, Tokenizer};
use mlxq_eval::data::Dataset;

use crate::PipelineError;
use crate::config::Task;

/// A data set ready for engines.
pub(super) struct EncodedRows {
    /// All token rows: two for each query of a similarity task, else one.
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
    /// When the folder has no tokenizer, or a row of a similarity task has no second text.
    pub(super) fn encode(
        dataset: &Dataset,
        task: Task,
        model: &Path,
        max_length: Option<usize>,
    ) -> Result<Self, PipelineError> {
        let tokenizer = Tokenizer::open(model, max_length)?;
        let mut encoded = Self {
            batch: Batch::new(),
            rows_per_query: if task == Task::Similarity { 2 } else { 1 },
            tokenizing: Vec::with_capacity(dataset.rows.len()),
            truncated: 0,
            max_length: tokenizer.max_length().clone(),
        };
        for row in &dataset.rows {
            let pair = row.text_pair.as_deref();
            let begun = Instant::now();
            let encodings = match (task, pair) {
                (Task::Similarity, Some(pair)) => {
                    vec![tokenizer.encode(&row.text, None)?, tokenizer.encode(pair, None)?]
                }
                (Task::Similarity | Task::Reranking, None) => {
                    let reason = format!("task `{}` needs the column `text_pair`", task.name());
                    return Err(PipelineError::Usage(reason));
                }
                (_, pair) => vec![tokenizer.encode(&row.text, pair)?],
            };
            encoded.tokenizing.push(begun.elapsed());
            for encoding in encodings {
                encoded.truncated += usize::from(encoding.truncated);
                encoded.batch.push(&encoding.ids, &encoding.type_ids);
            }
        }
        Ok(encoded)
    }

    /// Number of queries.
    pub(super) fn queries(&self) -> usize {
        self.tokenizing.len()
    }
}
