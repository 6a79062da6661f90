//! The native engine behind the [`Engine`] trait.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use mlxq_checkpoint::{Checkpoint, Purpose};
use mlxq_kernels::gemm::Activations;
use mlxq_models::sentence::SentenceModules;
use mlxq_models::{Config, Encoder, Scope, Tokens, labels};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::ops::{NativeOps, ROWS_PER_THREAD};
use super::parts::parts;
use super::sentence::SentenceFolder;
use super::short::Sharing;
use super::tensor::Tensor;
use super::weights::NativeWeights;
use crate::{Batch, Engine, EngineError, EngineInfo, Output, OutputKind};

/// Tokens that a thread computes at once, if rows can be divided so: bounds the memory of activations,
/// and products are at their full speed long before.
const MOST_TOKENS: usize = 512;

/// How the native engine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeOptions {
    /// Number of threads to compute with, at least 1.
    pub threads: usize,
    /// What quantized layers compute with.
    pub activations: Activations,
}

impl Default for NativeOptions {
    /// One thread, the default activations.
    fn default() -> Self {
        Self { threads: 1, activations: Activations::default() }
    }
}

/// A model on the CPU: the original checkpoint in f32, or a converted folder, whose quantized layers
/// compute with the [`Activations`] asked for.
pub struct NativeEngine {
    /// One for each thread, with memory of its own, all on the same pool.
    ops: Vec<NativeOps>,
    /// For short texts that are not worth sharing out.
    alone: NativeOps,
    sharing: Sharing,
    model: Box<dyn Encoder<NativeOps>>,
    /// What follows the encoder; `None` for a classification head.
    sentence: Option<SentenceModules<NativeOps>>,
    limits: Limits,
    info: EngineInfo,
}

/// What a row may hold.
struct Limits {
    tokens: usize,
    vocabulary: usize,
    /// `None`: segments are passed over.
    token_types: Option<usize>,
    /// A token that each row must hold.
    needs_token: Option<u32>,
}

impl NativeEngine {
    /// Loads the model folder `dir`.
    ///
    /// # Errors
    /// When the folder is no checkpoint of a known model, or its weights do not fit it.
    pub fn open(dir: &Path, options: NativeOptions) -> Result<Self, EngineError> {
        let checkpoint = Checkpoint::open(dir)?;
        let config = Config::new(checkpoint.config());
        let description = mlxq_models::describe(checkpoint.model_type(), config)?;
        let purpose = checkpoint.purpose();
        let labels = match purpose {
            Purpose::Embedding => None,
            Purpose::SequenceClassification => {
                Some(labels::read(config, description.default_labels)?)
            }
        };
        let arrangement = description.layout.arrange_folder(&checkpoint)?;
        let weights = NativeWeights {
            source: &arrangement.weights(&checkpoint),
            quantization: checkpoint.quantization(),
            prefix: arrangement.prefix(),
            activations: options.activations,
            quantized: AtomicBool::new(false),
        };
        let count = labels.as_ref().map(Vec::len);
        let model = pool(options.threads)?.install(|| {
            let scope = Scope::root(&weights);
            mlxq_models::build(checkpoint.model_type(), config, count, &scope)
        })?;
        let sentence = match purpose {
            Purpose::Embedding => Some(SentenceFolder::open(dir)?),
            Purpose::SequenceClassification => None,
        };
        let ops = NativeOps::new(options.threads);
        let others = (1..options.threads).map(|_| ops.another()).collect::<Vec<_>>();
        Ok(Self {
            ops: std::iter::once(ops).chain(others).collect(),
            alone: NativeOps::new(1),
            sharing: Sharing::default(),
            model,
            info: info(
                NativeOptions { activations: weights.activations(), ..options },
                labels.unwrap_or_default(),
                sentence.as_ref(),
            ),
            sentence: sentence.map(|sentence| sentence.load()).transpose()?,
            limits: Limits {
                tokens: description.max_tokens,
                vocabulary: description.vocabulary,
                token_types: description.token_types,
                needs_token: description.needs_token.filter(|_| count.is_some()),
            },
        })
    }

    /// The last hidden state, `[tokens, hidden]`: what the head or the pooling reads.
    ///
    /// # Errors
    /// When a token id or length is outside the model.
    pub fn hidden(&mut self, batch: &Batch) -> Result<Output, EngineError> {
        if batch.rows() == 0 {
            return Ok(Output::default());
        }
        self.run(batch, |ops, tokens| Some(self.model.hidden(ops, tokens)))
    }

    /// What `forward` makes of `batch`, which has rows. With work for every thread each computes rows of
    /// its own from the first operation to the last; with less, the operations themselves are shared out if
    /// that pays. A row gets the same bits either way.
    fn run(
        &self,
        batch: &Batch,
        forward: impl Fn(&NativeOps, &Tokens) -> Option<Tensor> + Sync,
    ) -> Result<Output, EngineError> {
        for row in 0..batch.rows() {
            self.limits.check(batch, row)?;
        }
        // A model without segments may still add a table of one row.
        let zeros = self.limits.token_types.is_none().then(|| vec![0; batch.tokens()]);
        let type_ids = zeros.as_deref().unwrap_or(&batch.type_ids);
        if batch.tokens() < ROWS_PER_THREAD && self.ops.len() > 1 {
            let tokens = Tokens { ids: &batch.ids, type_ids, offsets: &batch.offsets };
            let result = self.sharing.run(batch.tokens(), |shared| {
                forward(if shared { &self.ops[0] } else { &self.alone }, &tokens)
            });
            return Ok(joined(&[present(result)?]));
        }
        let waves = batch.tokens().div_ceil(self.ops.len() * MOST_TOKENS);
        let parts = parts(&batch.offsets, waves * self.ops.len(), ROWS_PER_THREAD);
        let results: Vec<Mutex<Option<Tensor>>> = parts.iter().map(|_| Mutex::new(None)).collect();
        for (parts, results) in parts.chunks(self.ops.len()).zip(results.chunks(self.ops.len())) {
            self.ops[0].threads().run(parts.len(), |place| {
                let offsets = &batch.offsets[parts[place].start..=parts[place].end];
                let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
                let own: Vec<usize> = offsets.iter().map(|offset| offset - first).collect();
                let (ids, type_ids) = (&batch.ids[first..last], &type_ids[first..last]);
                let result = forward(&self.ops[place], &Tokens { ids, type_ids, offsets: &own });
                *results[place].lock().unwrap_or_else(PoisonError::into_inner) = result;
            });
        }
        let results = results
            .into_iter()
            .map(|result| present(result.into_inner().unwrap_or_else(PoisonError::into_inner)));
        Ok(joined(&results.collect::<Result<Vec<Tensor>, _>>()?))
    }
}

/// What a model with a head gives.
fn present(result: Option<Tensor>) -> Result<Tensor, EngineError> {
    result.ok_or_else(|| EngineError::Missing {
        engine: "native".to_owned(),
        reason: "the model was built without a head".to_owned(),
    })
}

/// The vectors of all parts, of which there is one at least.
fn joined(parts: &[Tensor]) -> Output {
    let (rows, cols) = (parts.iter().map(Tensor::rows).sum(), parts[0].width());
    let mut data = Vec::with_capacity(rows * cols);
    let vectors = parts.iter().flat_map(|part| (0..part.rows()).map(|row| part.row(row)));
    vectors.for_each(|vector| data.extend_from_slice(vector));
    Output { rows, cols, data }
}

impl Engine for NativeEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn predict(&mut self, batch: &Batch) -> Result<Output, EngineError> {
        if batch.rows() == 0 {
            return Ok(Output::default());
        }
        self.run(batch, |ops, tokens| {
            let hidden = self.model.hidden(ops, tokens);
            match &self.sentence {
                Some(modules) => Some(modules.forward(ops, &hidden, tokens.offsets)),
                None => self.model.logits(ops, &hidden, tokens),
            }
        })
    }
}

impl Limits {
    fn check(&self, batch: &Batch, row: usize) -> Result<(), EngineError> {
        let refuse = |reason: String| Err(EngineError::Row { row, reason });
        let part = batch.offsets[row]..batch.offsets[row + 1];
        if part.is_empty() || part.len() > self.tokens {
            return refuse(format!("has {} tokens, not 1 to {}", part.len(), self.tokens));
        }
        let beyond =
            |values: &[u32], limit: usize| values.iter().find(|x| **x as usize >= limit).copied();
        if let Some(id) = beyond(&batch.ids[part.clone()], self.vocabulary) {
            return refuse(format!(
                "token id {id} is outside the vocabulary of {}",
                self.vocabulary
            ));
        }
        if let Some(needed) = self.needs_token
            && !batch.ids[part.clone()].contains(&needed)
        {
            return refuse(format!("has no token {needed}, whose vector the head reads"));
        }
        let segments = self.token_types.unwrap_or(usize::MAX);
        if let Some(segment) = beyond(&batch.type_ids[part], segments) {
            return refuse(format!("segment {segment} is outside the model's {segments}"));
        }
        Ok(())
    }
}

/// A pool of exactly `threads` threads, on which weights are packed.
fn pool(threads: usize) -> Result<ThreadPool, EngineError> {
    ThreadPoolBuilder::new().num_threads(threads.max(1)).build().map_err(|error| {
        EngineError::Missing { engine: "native".to_owned(), reason: error.to_string() }
    })
}

/// What runs; `options` with the activations of the model's layers.
fn info(
    options: NativeOptions,
    labels: Vec<String>,
    sentence: Option<&SentenceFolder>,
) -> EngineInfo {
    let setting = |key: &str, value: String| (key.to_owned(), value);
    let mut settings = vec![setting("activations", options.activations.name().to_owned())];
    settings.extend(sentence.map(|sentence| setting("pooling", sentence.describe())));
    EngineInfo {
        engine: "native".to_owned(),
        version: format!("mlxq {}", env!("CARGO_PKG_VERSION")),
        device: format!(
            "cpu ({}, integer products {})",
            mlxq_kernels::isa_name(),
            mlxq_kernels::gemm::integer_isa_name()
        ),
        threads: options.threads.max(1),
        output: if sentence.is_some() { OutputKind::Embedding } else { OutputKind::Logits },
        labels,
        settings,
    }
}
