//! How far two sides' outputs are apart, whatever the labels say.

use mlxq_engine::{EngineInfo, Output, OutputKind};
use mlxq_eval::fidelity;

use crate::record::{EmbeddingFidelity, Estimate, Fidelity, LogitFidelity};

/// The fidelity of the second output to the first, of an engine like `info`. `pairs`: whether every two
/// rows belong together.
pub(super) fn of(info: &EngineInfo, outputs: [&Output; 2], pairs: bool) -> Fidelity {
    let (logits, embeddings) = (logits(info, outputs), embeddings(info, outputs, pairs));
    fidelity_of(logits.as_ref(), embeddings.as_ref(), outputs)
}

/// For the record what was found, and the largest difference of a number.
pub(in crate::exec) fn fidelity_of(
    logits: Option<&fidelity::LogitFidelity>,
    embeddings: Option<&fidelity::EmbeddingFidelity>,
    [from, to]: [&Output; 2],
) -> Fidelity {
    let numbers = from.data.iter().zip(&to.data);
    Fidelity {
        logits: logits.map(of_logits),
        embeddings: embeddings.map(of_embeddings),
        largest_difference: numbers.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max),
    }
}

/// How faithful the second embeddings are to the first; `None` for other outputs.
pub(in crate::exec) fn embeddings(
    info: &EngineInfo,
    [from, to]: [&Output; 2],
    pairs: bool,
) -> Option<fidelity::EmbeddingFidelity> {
    let every_two = || (0..from.rows / 2).map(|pair| (2 * pair, 2 * pair + 1)).collect();
    let pairs: Option<Vec<_>> = pairs.then(every_two);
    (info.output == OutputKind::Embedding)
        .then(|| fidelity::EmbeddingFidelity::of(&from.data, &to.data, from.cols, pairs.as_deref()))
        .flatten()
}

/// How faithful the second logits are to the first; `None` where there are no two of a row.
pub(in crate::exec) fn logits(
    info: &EngineInfo,
    [from, to]: [&Output; 2],
) -> Option<fidelity::LogitFidelity> {
    (info.output == OutputKind::Logits)
        .then(|| fidelity::LogitFidelity::of(&from.data, &to.data, from.cols))
        .flatten()
}

fn of_logits(found: &fidelity::LogitFidelity) -> LogitFidelity {
    let finite = |value: f64| value.is_finite().then_some(value);
    LogitFidelity {
        kl_mean: finite(found.kl_mean()),
        kl_median: finite(found.kl_median()),
        kl_p95: found.kl_percentile(0.95).and_then(finite),
        kl_p99: found.kl_percentile(0.99).and_then(finite),
        kl_max: finite(found.kl_max()),
        agreement: Estimate {
            value: found.agreement(),
            interval_95: Some(found.agreement_interval().into()),
        },
        largest_probability_difference: found.largest_probability_difference,
        top_probability_mean_difference: found.top_probability_mean,
        top_probability_rms_difference: found.top_probability_rms,
    }
}

fn of_embeddings(found: &fidelity::EmbeddingFidelity) -> EmbeddingFidelity {
    EmbeddingFidelity {
        cosine_mean: found.cosine_mean(),
        cosine_min: found.cosine_min(),
        cosine_p1: found.cosine_percentile(0.01),
        cosine_p5: found.cosine_percentile(0.05),
        share_below_99: found.share_below_99(),
        relative_error: found.relative_error,
        pair_rank_correlation: found.pair_rank_correlation,
        neighbour_overlap_10: found.neighbour_overlap,
    }
}
