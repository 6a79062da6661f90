//! Figures of merit over plain slices, in f64.
//!
//! Each is defined as its source says (scikit-learn, scipy, numpy, sentence-transformers), and `None`
//! where it has no value: nothing here turns an undefined figure into a number.

mod classification;
mod correlation;
mod quantile;
mod ranking;

pub use classification::{Confusion, Hits, accuracy, micro_f1};
pub use correlation::{cosine, pearson, ranks, spearman};
pub use quantile::{fewest_for_quantile, nearest_rank, percentile, quantile};
pub use ranking::{Threshold, average_precision, best_threshold, ndcg, recall};

/// The figures that tasks are measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// [`Confusion::accuracy`].
    Accuracy,
    /// [`Confusion::balanced_accuracy`].
    BalancedAccuracy,
    /// [`Confusion::f1`] of the second of two classes.
    BinaryF1,
    /// [`Confusion::macro_f1`].
    MacroF1,
    /// [`Confusion::micro_f1`], or [`micro_f1`] of sets of labels.
    MicroF1,
    /// [`Confusion::matthews`].
    Matthews,
    /// [`pearson`].
    Pearson,
    /// [`spearman`].
    Spearman,
    /// [`average_precision`].
    AveragePrecision,
    /// [`Threshold::accuracy`]: of the decision that a score from a given threshold on means similar.
    SimilarityAccuracy,
    /// [`ndcg`] of the first ten, the mean over queries.
    Ndcg10,
    /// [`recall`] among the first ten, the mean over queries.
    Recall10,
    /// [`recall`] among the first hundred, the mean over queries.
    Recall100,
}

impl Metric {
    /// Each metric with the name that records use, its title in tables, and other names that
    /// configurations know it by.
    const NAMES: [(Self, &str, &str, &[&str]); 13] = [
        (Self::Accuracy, "accuracy", "accuracy %", &["acc"]),
        (Self::BalancedAccuracy, "balanced_accuracy", "balanced accuracy %", &["macro_recall"]),
        (Self::BinaryF1, "f1", "F1 %", &["binary_f1", "f1_binary"]),
        (Self::MacroF1, "macro_f1", "macro F1 %", &["f1_macro"]),
        (Self::MicroF1, "micro_f1", "micro F1 %", &["f1_micro"]),
        (Self::Matthews, "matthews_correlation", "Matthews x 100", &["matthews", "mcc"]),
        (Self::Pearson, "pearson_correlation", "Pearson x 100", &["pearson", "pearsonr"]),
        (Self::Spearman, "spearman_correlation", "Spearman x 100", &["spearman", "spearmanr"]),
        (Self::AveragePrecision, "average_precision", "average precision %", &["ap", "cosine_ap"]),
        (
            Self::SimilarityAccuracy,
            "similarity_accuracy",
            "similarity accuracy %",
            &["cosine_accuracy"],
        ),
        (Self::Ndcg10, "ndcg_at_10", "nDCG@10 x 100", &["ndcg@10", "ndcg10", "cosine_ndcg@10"]),
        (Self::Recall10, "recall_at_10", "recall@10 %", &["recall@10", "cosine_recall@10"]),
        (Self::Recall100, "recall_at_100", "recall@100 %", &["recall@100", "cosine_recall@100"]),
    ];

    fn entry(self) -> &'static (Self, &'static str, &'static str, &'static [&'static str]) {
        // The table stands in the order of the variants, which a test holds it to.
        &Self::NAMES[self as usize]
    }

    /// The name that records use.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// The name of its hundredfold in tables.
    pub fn title(self) -> &'static str {
        self.entry().2
    }

    /// The metric called `name`, by the name that records use or one that others know it by.
    ///
    /// # Errors
    /// With the known names when there is none.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let lower = name.to_ascii_lowercase();
        let is_called = |(_, own, _, others): &&(Self, &str, &str, &[&str])| {
            *own == lower || others.contains(&lower.as_str())
        };
        let found = Self::NAMES.iter().find(is_called);
        found.map(|(metric, ..)| *metric).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(_, name, ..)| *name).collect();
            format!("metric `{name}` is not known; known are {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Metric;

    #[test]
    fn every_metric_has_names_of_its_own() {
        for (place, (metric, name, _, others)) in Metric::NAMES.iter().enumerate() {
            assert_eq!(*metric as usize, place, "{name}");
            for name in others.iter().chain([name]) {
                assert_eq!(Metric::from_name(name), Ok(*metric), "{name}");
            }
        }
        let refused = Metric::from_name("bleu").expect_err("unknown");
        assert!(refused.contains("`bleu`") && refused.contains("macro_f1"), "{refused}");
        assert_eq!(Metric::from_name("SpearmanR"), Ok(Metric::Spearman));
    }
}
