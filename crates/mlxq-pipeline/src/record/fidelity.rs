//! What `mlxq test --fidelity` keeps: how far models are apart on texts without labels.

use std::path::PathBuf;

use mlxq_engine::EngineInfo;
use serde::Serialize;

use super::cell::{GateReport, Outcome};
use super::judgement::Fidelity;

/// The fidelity of one converted model on one file of texts.
#[derive(Debug, Serialize)]
pub(crate) struct FidelityReport {
    /// The version of this form.
    pub(crate) schema_version: u32,
    /// The model's name.
    pub(crate) model: String,
    /// Bits of its quantized weights.
    pub(crate) bits: u32,
    /// The file of texts, and its SHA-256.
    pub(crate) texts: PathBuf,
    /// See `texts`.
    pub(crate) texts_sha256: String,
    /// Texts compared.
    pub(crate) rows: usize,
    /// Texts that were cut, to how many tokens and why.
    pub(crate) truncated: usize,
    /// See `truncated`.
    pub(crate) max_length: usize,
    /// See `truncated`.
    pub(crate) max_length_decided_by: String,
    /// BLAKE3 of the original's files.
    pub(crate) source_fingerprint: String,
    /// Why PyTorch did not run; `None`: it did.
    pub(crate) torch_missing: Option<String>,
    /// What ran, the baseline first, the converted model last.
    pub(crate) engines: Vec<EngineInfo>,
    /// Each comparison; the last is from the baseline to the converted model, which the gates judge.
    pub(crate) comparisons: Vec<FidelityComparison>,
    /// What is worth a warning, in words.
    pub(crate) doubts: Vec<String>,
    /// The gates that were asked for.
    pub(crate) gates: Vec<GateReport>,
    /// All of them together.
    pub(crate) verdict: Outcome,
    /// When it was measured, UTC.
    pub(crate) measured: String,
}

/// Two of the sides.
#[derive(Debug, Serialize)]
pub(crate) struct FidelityComparison {
    /// The sides in words.
    pub(crate) title: String,
    /// How far they are apart.
    pub(crate) fidelity: Fidelity,
    /// 95 % interval of the mean divergence, or of the mean cosine, by a bootstrap of the rows: 10,000
    /// resamples, seed 42. `None` where there is no finite mean.
    pub(crate) mean_interval_95: Option<[f64; 2]>,
}
