//! Tasks by the names that configurations use.

use mlxq_eval::metric::Metric;

/// What a model is asked to do with the rows of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Cosine of two texts' embeddings against a graded score.
    Similarity,
    /// The label of a text or a pair.
    Classification,
    /// Any number of labels of a text or a pair, each decided alone.
    MultiLabel,
    /// One logit of a text or a pair against a graded score.
    Regression,
    /// One logit of a query and a document, which should be high where the document is relevant: where
    /// its score is above 0.
    Reranking,
}

impl Task {
    /// Names of the original pipeline, and what they mean here.
    const NAMES: [(&str, Task); 17] = [
        ("semantic-similarity", Self::Similarity),
        ("sentence-similarity", Self::Similarity),
        ("sentence-embedding", Self::Similarity),
        ("embedding", Self::Similarity),
        ("feature-extraction", Self::Similarity),
        ("text-classification", Self::Classification),
        ("classification", Self::Classification),
        ("pair-classification", Self::Classification),
        ("sentiment-analysis", Self::Classification),
        ("sentiment", Self::Classification),
        ("nli", Self::Classification),
        ("multi-label-classification", Self::MultiLabel),
        ("multi-label", Self::MultiLabel),
        ("regression", Self::Regression),
        ("text-regression", Self::Regression),
        ("reranking", Self::Reranking),
        ("text-ranking", Self::Reranking),
    ];

    /// The task called `name`.
    ///
    /// # Errors
    /// With the known names when there is none.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name);
        known.map(|(_, task)| *task).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("task `{name}` is not supported; supported are {}", names.join(", "))
        })
    }

    /// The name that records use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Similarity => "semantic-similarity",
            Self::Classification => "text-classification",
            Self::MultiLabel => "multi-label-classification",
            Self::Regression => "regression",
            Self::Reranking => "reranking",
        }
    }

    /// The figures it is measured by; the first is the primary one, which the accuracy gate judges.
    pub fn metrics(self) -> &'static [Metric] {
        match self {
            Self::Similarity => &[Metric::Spearman, Metric::Pearson],
            Self::Classification => &[Metric::Accuracy],
            Self::MultiLabel => &[Metric::MicroF1],
            Self::Regression => &[Metric::Pearson, Metric::Spearman],
            Self::Reranking => &[Metric::AveragePrecision],
        }
    }

    /// The first of [`Self::metrics`].
    pub fn primary_metric(self) -> Metric {
        self.metrics()[0]
    }
}
