//! Texts in, vectors out: JSON lines through one engine.

mod ahead;
mod head;
mod lines;
mod numbers;
mod template;
#[cfg(test)]
mod tests;
mod zero_shot;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use mlxq_checkpoint::shown;
use mlxq_engine::{Encoding, Engine, EngineError, Output, OutputKind, Tokenizer};
use mlxq_models::ModelError;
use serde::Serialize;

pub use head::Head;
pub(crate) use lines::texts;
pub(crate) use numbers::largest;
pub(crate) use zero_shot::best_first;
pub use zero_shot::{Candidates, ZeroShot};

use crate::{ExitClass, Reporter};
use ahead::{Ahead, Asked};
use lines::Request;

/// An error of a prediction.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// An input line that is no request, or one that cannot be answered.
    #[error("input line {line}: {reason}")]
    Input {
        /// 1-based line.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Something asked for that has no sense, or none with this model.
    #[error("{0}")]
    Usage(String),
    /// An input without any text, where one is needed.
    #[error("the input has no text to compare with the candidate labels")]
    NoText,
    /// The input cannot be read or the output not written.
    #[error("input or output: {0}")]
    Io(#[from] std::io::Error),
    /// The user wants it to end.
    #[error("interrupted")]
    Interrupted,
    /// The model's configuration.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl PredictError {
    /// How a command ends with this error.
    pub fn exit_class(&self) -> ExitClass {
        match self {
            Self::Usage(_) => ExitClass::Usage,
            Self::Interrupted => ExitClass::Interrupted,
            _ => ExitClass::Input,
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Predicted {
    /// Lines read and written.
    pub rows: usize,
    /// Lines of which a text was cut to the longest row.
    pub truncated: usize,
}

/// What is asked of a model about each line.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The embedding of a text.
    Embedding,
    /// What the classification head says to a text or a pair.
    Head(Head),
    /// Which of some labels fit a text.
    ZeroShot(ZeroShot),
}

impl Question {
    /// What the engine's outputs are asked for without candidate labels; `dir` is the model's folder.
    ///
    /// # Errors
    /// As [`Head::read`].
    pub fn plain(engine: &dyn Engine, dir: &Path) -> Result<Self, PredictError> {
        let info = engine.info();
        Ok(match info.output {
            OutputKind::Embedding => Self::Embedding,
            OutputKind::Logits => Self::Head(Head::read(dir, &info.labels)?),
        })
    }

    /// Rows of tokens that each line makes.
    fn rows(&self) -> usize {
        match self {
            Self::Embedding | Self::Head(_) => 1,
            Self::ZeroShot(asked) => asked.labels().len(),
        }
    }

    fn encode(
        &self,
        request: &Request,
        tokenizer: &Tokenizer,
    ) -> Result<Vec<Encoding>, PredictError> {
        match self {
            Self::Embedding | Self::Head(_) => {
                Ok(vec![tokenizer.encode(&request.text, request.text_pair.as_deref())?])
            }
            Self::ZeroShot(asked) => asked.encode(request, tokenizer),
        }
    }

    /// The answer to `request`, whose vectors begin with the row `first` of `output`.
    fn answer<'a>(&'a self, request: &'a Request, output: &'a Output, first: usize) -> Answer<'a> {
        match self {
            Self::Embedding => Answer::Embedding { embedding: output.row(first) },
            Self::Head(head) => head.answer(output.row(first)),
            Self::ZeroShot(asked) => asked.answer(request, output, first),
        }
    }

    /// The error of the `row`-th row of tokens of `request`.
    fn refuse(&self, request: &Request, row: usize, reason: &str) -> PredictError {
        match self {
            Self::Embedding | Self::Head(_) => request.refuse(reason),
            Self::ZeroShot(asked) => {
                let label = shown(&asked.labels()[row]);
                request.refuse(format!("with the label `{label}`: {reason}"))
            }
        }
    }
}

/// A line of output.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Embedding {
        embedding: &'a [f32],
    },
    Logits {
        logits: &'a [f32],
        #[serde(skip_serializing_if = "Option::is_none")]
        label: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        labels: Option<Vec<&'a str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        scores: Option<Vec<f32>>,
    },
    Labels {
        sequence: &'a str,
        labels: Vec<&'a str>,
        scores: Vec<f32>,
    },
}

/// A model that answers lines.
pub struct Predictor<'a> {
    /// What computes.
    pub engine: &'a mut dyn Engine,
    /// The model's tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// What is asked.
    pub question: Arc<Question>,
    /// Rows of tokens that go through the engine at once; all rows of a line go together, so that it may
    /// be more where a line has more. Long rows are fewer: see [`mlxq_engine::TOKENS_AT_ONCE`].
    pub batch_size: usize,
}

impl Predictor<'_> {
    /// Reads lines `{"text": .., "text_pair"?: ..}` and writes a line for each, in order: the forms are
    /// in docs/predicting.md. A line that has arrived is answered without waiting for others; those that
    /// arrive meanwhile are read and tokenized by another thread and answered together.
    ///
    /// # Errors
    /// At the first line that cannot be answered, when those before it are written, or when the engine
    /// or a stream fails.
    pub fn run(
        &mut self,
        input: Box<dyn Read + Send>,
        output: &mut dyn Write,
        reporter: &dyn Reporter,
    ) -> Result<Predicted, PredictError> {
        let ahead = self.batch_size.div_ceil(self.question.rows());
        let mut lines = Ahead::start(input, &self.question, &self.tokenizer, ahead)?;
        let mut done = Predicted::default();
        loop {
            let asked = lines.take(self.batch_size, || output.flush())?;
            if asked.is_empty() {
                output.flush()?;
                break;
            }
            self.answer(&asked, output, reporter)?;
            done.rows += asked.len();
            done.truncated += asked.iter().filter(|asked| asked.truncated()).count();
        }
        match *self.question {
            Question::ZeroShot(_) if done.rows == 0 => Err(PredictError::NoText),
            _ => Ok(done),
        }
    }

    /// Writes the answers to `asked`; of an error those before it.
    fn answer(
        &mut self,
        asked: &[Asked],
        output: &mut dyn Write,
        reporter: &dyn Reporter,
    ) -> Result<(), PredictError> {
        if asked.is_empty() {
            return Ok(());
        }
        let rows = self.question.rows();
        let question = Arc::clone(&self.question);
        let refuse = |row: usize, reason: &str| {
            question.refuse(&asked[row / rows].request, row % rows, reason)
        };
        let vectors = match self.engine.predict(&Asked::batch(asked)) {
            Ok(vectors) => vectors,
            Err(EngineError::Row { row, reason }) if row < asked.len() * rows => {
                self.answer(&asked[..row / rows], output, reporter)?;
                return Err(refuse(row, &reason));
            }
            Err(other) => return Err(other.into()),
        };
        if reporter.interrupted() {
            return Err(PredictError::Interrupted);
        }
        for (place, Asked { request, .. }) in asked.iter().enumerate() {
            let first = place * rows;
            for row in first..first + rows {
                let vector = vectors.row(row);
                if let Some(place) = vector.iter().position(|x| !x.is_finite()) {
                    let reason = format!("the model gives {} at place {place}", vector[place]);
                    return Err(refuse(row, &reason));
                }
            }
            let answer = question.answer(request, &vectors, first);
            serde_json::to_writer(&mut *output, &answer).map_err(std::io::Error::from)?;
            output.write_all(b"\n")?;
        }
        Ok(())
    }
}
