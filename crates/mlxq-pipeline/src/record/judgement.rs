//! Original against converted, row by row: what the engines' answers to the same rows come to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The three comparisons of one model on one data set. All three have the same rows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Judgement {
    /// PyTorch against the original in the native engine: the error of our implementation.
    pub(crate) torch_to_original: Option<Pair>,
    /// The original in the native engine against the converted model: the cost of quantization.
    pub(crate) original_to_converted: Option<Pair>,
    /// PyTorch against the converted model: what a user gets.
    pub(crate) torch_to_converted: Option<Pair>,
    /// The converted model against itself in a second process: what the measurement alone makes of no
    /// difference. Only of `--against-itself`, which has no other comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) converted_to_itself: Option<Pair>,
}

impl Judgement {
    /// The comparison of the baseline with the converted model: what the gates judge.
    pub(crate) fn judged(&self) -> Option<&Pair> {
        let baseline = self.torch_to_converted.as_ref().or(self.original_to_converted.as_ref());
        baseline.or(self.converted_to_itself.as_ref())
    }
}

/// Two sides on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Pair {
    /// Queries that both sides answered.
    pub(crate) rows: usize,
    /// Each figure of both sides, the primary one first.
    pub(crate) figures: Vec<PairedFigure>,
    /// Whether rows changed between right and wrong; `None` where answers are not right or wrong.
    pub(crate) mcnemar: Option<McNemarTest>,
    /// Rows that changed; `None` where answers are not right or wrong.
    pub(crate) flips: Option<Flips>,
    /// How far the outputs themselves are apart, labels aside.
    pub(crate) fidelity: Fidelity,
}

/// One figure of two sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PairedFigure {
    /// The metric's name.
    pub(crate) metric: String,
    /// The figure of the first side.
    pub(crate) baseline: Estimate,
    /// The figure of the second side.
    pub(crate) converted: Estimate,
    /// First minus second.
    pub(crate) drop: f64,
    /// The drop's one-sided 95 % bounds, lower and upper: what a gate judges.
    pub(crate) one_sided_95: Option<[f64; 2]>,
    /// The drop's two-sided 95 % interval.
    pub(crate) two_sided_95: Option<[f64; 2]>,
    /// How the drop's bounds were found: Tango's score interval, or the paired bootstrap.
    pub(crate) method: String,
    /// Why there are no bounds.
    pub(crate) missing: Option<String>,
}

/// A figure and its two-sided 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Estimate {
    /// The figure.
    pub(crate) value: f64,
    /// Wilson's interval for shares of rows, else the bootstrap's quantiles; `None` where too many
    /// resamples have no figure.
    pub(crate) interval_95: Option<[f64; 2]>,
}

/// McNemar's test of the rows that are right on one side only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct McNemarTest {
    /// Right on the first side, wrong on the second.
    pub(crate) lost: usize,
    /// Wrong on the first side, right on the second.
    pub(crate) gained: usize,
    /// Exact two-sided p of "the two sides are equally often right".
    pub(crate) exact_p: f64,
    /// The mid-p form of it.
    pub(crate) mid_p: f64,
    /// Exact one-sided p, against "the second side is not worse".
    pub(crate) one_sided_p: f64,
}

/// Rows whose answer changed ("flips" of Dutta et al. 2024, arXiv 2407.09141).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Flips {
    /// Right to wrong and wrong to right, as a share of the rows.
    pub(crate) share: f64,
    /// Rows with another answer, right or not.
    pub(crate) changed: usize,
    /// Those as a share of the rows.
    pub(crate) changed_share: f64,
    /// The first of the changed rows: those that were lost, then gained, then the others.
    pub(crate) examples: Vec<Example>,
}

/// A row whose answer changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Example {
    /// The row's id.
    pub(crate) id: SampleId,
    /// The text, at most 200 characters of it.
    pub(crate) text: String,
    /// The second text, at most 200 characters of it.
    pub(crate) text_pair: Option<String>,
    /// What is right.
    pub(crate) gold: Value,
    /// The first side's answer.
    pub(crate) baseline: Value,
    /// The second side's answer.
    pub(crate) converted: Value,
}

/// How far outputs are apart, without a look at labels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Fidelity {
    /// Of classification heads with several logits.
    pub(crate) logits: Option<LogitFidelity>,
    /// Of embeddings.
    pub(crate) embeddings: Option<EmbeddingFidelity>,
    /// The largest difference of one number of the outputs.
    pub(crate) largest_difference: f64,
}

/// Softmax distributions P of the first side and Q of the second, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct LogitFidelity {
    /// Kullback-Leibler divergence KL(P || Q) in nats over the rows; `None` where it is infinite.
    pub(crate) kl_mean: Option<f64>,
    /// Its median.
    pub(crate) kl_median: Option<f64>,
    /// Its 95 % quantile; `None` also where there are too few rows for it.
    pub(crate) kl_p95: Option<f64>,
    /// Its 99 % quantile; `None` also where there are too few rows for it.
    pub(crate) kl_p99: Option<f64>,
    /// Its largest value.
    pub(crate) kl_max: Option<f64>,
    /// Share of rows whose largest logit is in the same place.
    pub(crate) agreement: Estimate,
    /// The largest |P - Q| of any class.
    pub(crate) largest_probability_difference: f64,
    /// Mean of Q - P of the class that P prefers.
    pub(crate) top_probability_mean_difference: f64,
    /// Root mean square of the same.
    pub(crate) top_probability_rms_difference: f64,
}

/// Embeddings of the same texts on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct EmbeddingFidelity {
    /// Mean cosine of a text's two vectors.
    pub(crate) cosine_mean: f64,
    /// The smallest.
    pub(crate) cosine_min: f64,
    /// The 1 % quantile; `None` where there are too few texts for it.
    pub(crate) cosine_p1: Option<f64>,
    /// The 5 % quantile; `None` where there are too few texts for it.
    pub(crate) cosine_p5: Option<f64>,
    /// Share of texts with a cosine below 0.99.
    pub(crate) share_below_99: f64,
    /// Mean length of the difference in relation to the first vector's.
    pub(crate) relative_error: f64,
    /// Spearman's correlation of both sides' cosines of the pairs, of all pairs of the first 1000 texts
    /// where the rows are no pairs; `None` where one side is constant.
    pub(crate) pair_rank_correlation: Option<f64>,
    /// Mean share of a text's ten nearest that are the same on both sides; `None` for few texts.
    pub(crate) neighbour_overlap_10: Option<f64>,
}

/// What a row is called: its 0-based place in its file, or the name of a collection's query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum SampleId {
    /// 0-based row of the file.
    Row(usize),
    /// The query's name.
    Name(String),
}

/// One row and every side's answer to it: a line of `samples.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Sample {
    /// What the row is called.
    pub(crate) id: SampleId,
    /// What is right.
    pub(crate) gold: Value,
    /// PyTorch's answer.
    pub(crate) torch: Option<SideAnswer>,
    /// The answer of the original in the native engine; `null` only with `--against-itself`.
    pub(crate) native_original: Option<SideAnswer>,
    /// With `--against-itself`, the answer of the converted model in the baseline's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) itself: Option<SideAnswer>,
    /// The converted model's answer.
    pub(crate) converted: SideAnswer,
}

/// One side's answer to a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct SideAnswer {
    /// A label, a list of labels, a number, or the names of the first ten documents.
    pub(crate) prediction: Value,
    /// Whether it is right; `None` where answers are not right or wrong.
    pub(crate) right: Option<bool>,
    /// The numbers behind it: the logits of the row, the cosine of a pair, the scores of the labels, or
    /// how relevant the documents of a ranking are, the best first.
    pub(crate) scores: Vec<f64>,
}
