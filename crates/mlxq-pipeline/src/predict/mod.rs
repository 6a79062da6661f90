//! Texts in, vectors out: JSON lines through one engine.

mod head;
mod lines;
mod numbers;
mod template;
#[cfg(test)]
mod tests;
mod zero_shot;

use std::io::{BufRead, Write};
use std::path::Path;

use mlxq_checkpoint::shown;
use mlxq_engine::{Batch, Encoding, Engine, EngineError, Output, OutputKind, Tokenizer};
use mlxq_models::ModelError;
use serde::Serialize;

pub use head::Head;
pub(crate) use numbers::largest;
pub use zero_shot::{Candidates, ZeroShot};

use crate::{ExitClass, Reporter};
use lines::{Lines, Request};

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
    pub tokenizer: &'a Tokenizer,
    /// What is asked.
    pub question: &'a Question,
    /// Rows of tokens that go through the engine at once; all rows of a line go together, so that it may
    /// be more where a line has more.
    pub batch_size: usize,
}

impl Predictor<'_> {
    /// Reads lines `{"text": .., "text_pair"?: ..}` and writes a line for each, in order: the forms are
    /// in docs/predicting.md.
    ///
    /// # Errors
    /// At the first line that cannot be answered, or when the engine or a stream fails.
    pub fn run(
        &mut self,
        input: &mut dyn BufRead,
        output: &mut dyn Write,
        reporter: &dyn Reporter,
    ) -> Result<Predicted, PredictError> {
        let mut done = Predicted::default();
        let mut lines = Lines::new(input);
        loop {
            let asked = self.read(&mut lines, &mut done)?;
            if asked.requests.is_empty() {
                output.flush()?;
                break;
            }
            let vectors = self.compute(&asked)?;
            if reporter.interrupted() {
                return Err(PredictError::Interrupted);
            }
            for (place, request) in asked.requests.iter().enumerate() {
                let first = place * self.question.rows();
                let answer = self.question.answer(request, &vectors, first);
                serde_json::to_writer(&mut *output, &answer).map_err(std::io::Error::from)?;
                output.write_all(b"\n")?;
            }
            done.rows += asked.requests.len();
        }
        match self.question {
            Question::ZeroShot(_) if done.rows == 0 => Err(PredictError::NoText),
            _ => Ok(done),
        }
    }

    /// The next requests that are computed at once; none at the end.
    fn read(&self, lines: &mut Lines, done: &mut Predicted) -> Result<Asked, PredictError> {
        let mut asked = Asked { requests: Vec::new(), batch: Batch::new() };
        while (asked.requests.is_empty()
            || asked.batch.rows() + self.question.rows() <= self.batch_size)
            && let Some(request) = lines.next()?
        {
            let encodings = self.question.encode(&request, self.tokenizer)?;
            for (row, encoding) in encodings.iter().enumerate() {
                if encoding.ids.is_empty() {
                    let reason = "has no token: this tokenizer adds none to an empty text";
                    return Err(self.question.refuse(&request, row, reason));
                }
                asked.batch.push(&encoding.ids, &encoding.type_ids);
            }
            done.truncated += usize::from(encodings.iter().any(|encoding| encoding.truncated));
            asked.requests.push(request);
        }
        Ok(asked)
    }

    /// The vectors of all rows, finite ones.
    fn compute(&mut self, asked: &Asked) -> Result<Output, PredictError> {
        let rows = self.question.rows();
        let refuse = |row: usize, reason: &str| {
            self.question.refuse(&asked.requests[row / rows], row % rows, reason)
        };
        let vectors = self.engine.predict(&asked.batch).map_err(|error| match error {
            EngineError::Row { row, reason } if row < asked.batch.rows() => refuse(row, &reason),
            other => other.into(),
        })?;
        for row in 0..vectors.rows {
            let vector = vectors.row(row);
            if let Some(place) = vector.iter().position(|x| !x.is_finite()) {
                let reason = format!("the model gives {} at place {place}", vector[place]);
                return Err(refuse(row, &reason));
            }
        }
        Ok(vectors)
    }
}

/// Requests and their rows of tokens.
struct Asked {
    requests: Vec<Request>,
    batch: Batch,
}
