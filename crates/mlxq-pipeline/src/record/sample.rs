//! What every side answered to every row: the lines of `samples.jsonl`, from which each figure can be
//! computed again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a row is called: its 0-based place in its file, or the name of a collection's query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SampleId {
    /// 0-based row of the file.
    Row(usize),
    /// The query's name.
    Name(String),
}

/// One row and every side's answer to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sample {
    /// What the row is called.
    pub(crate) id: SampleId,
    /// What is right.
    pub(crate) gold: Value,
    /// PyTorch's answer.
    pub(crate) torch: Option<SideAnswer>,
    /// The answer of the original in the native engine.
    pub(crate) native_original: SideAnswer,
    /// The converted model's answer.
    pub(crate) converted: SideAnswer,
}

/// One side's answer to a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SideAnswer {
    /// A label, a list of labels or a number.
    pub(crate) prediction: Value,
    /// Whether it is right; `None` where answers are not right or wrong.
    pub(crate) right: Option<bool>,
    /// The numbers behind it: the logits of the row, the cosine of a pair, the scores of the labels.
    pub(crate) scores: Vec<f32>,
}

/// A line of `samples.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SampleLine {
    /// The cell's `id` in `report.json`.
    pub(crate) cell: String,
    /// The row.
    #[serde(flatten)]
    pub(crate) sample: Sample,
}
