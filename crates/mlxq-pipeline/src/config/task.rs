//! Tasks by the names that configurations use.

/// What a model is asked to do with the rows of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Cosine of two texts' embeddings against a graded score.
    Similarity,
    /// The label of a text or a pair.
    Classification,
}

impl Task {
    /// Names of the original pipeline, and what they mean here.
    const NAMES: [(&str, Task); 11] = [
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
        }
    }

    /// The name of the figure that the accuracy gate judges.
    pub fn primary_metric(self) -> &'static str {
        match self {
            Self::Similarity => "spearman_correlation",
            Self::Classification => "accuracy",
        }
    }
}
