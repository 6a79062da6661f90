//! Every metric and statistic of what it reads, for the peer tests: a JSON object on standard input, one
//! on standard output. A part of the input that is missing has no part in the output.

use mlxq_eval::fidelity::{EmbeddingFidelity, LogitFidelity};
use mlxq_eval::metric::{
    Confusion, Hits, average_precision, best_threshold, micro_f1, ndcg, nearest_rank, pearson,
    quantile, ranks, recall, spearman,
};
use mlxq_eval::stats::{Drop, LogRatio, McNemar, holm, wilson_at};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    classes: Option<Classes>,
    sets: Option<Sets>,
    scores: Option<Scores>,
    numbers: Option<[Vec<f64>; 2]>,
    ranking: Option<Ranking>,
    quantiles: Option<(Vec<f64>, Vec<f64>)>,
    ratios: Option<Vec<f64>>,
    /// Lost, gained, rows.
    paired: Option<[usize; 3]>,
    /// Right, rows, confidence.
    share: Option<(usize, usize, f64)>,
    p_values: Option<Vec<f64>>,
    /// Logits `[rows, classes]` of two models.
    logits: Option<(Vec<f32>, Vec<f32>, usize)>,
    /// Embeddings `[texts, width]` of two models.
    embeddings: Option<(Vec<f32>, Vec<f32>, usize)>,
}

#[derive(Deserialize)]
struct Classes {
    count: usize,
    references: Vec<usize>,
    predictions: Vec<Option<usize>>,
}

#[derive(Deserialize)]
struct Sets {
    references: Vec<Vec<usize>>,
    predictions: Vec<Vec<usize>>,
}

#[derive(Deserialize)]
struct Scores {
    scores: Vec<f64>,
    relevant: Vec<bool>,
}

#[derive(Deserialize)]
struct Ranking {
    /// Of the ranking, best first.
    gains: Vec<f64>,
    judged: Vec<f64>,
    k: usize,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input: Input = serde_json::from_reader(std::io::stdin().lock())?;
    let mut all = Map::new();
    let mut put = |name: &str, part: Option<Value>| {
        if let Some(part) = part {
            all.insert(name.to_owned(), part);
        }
    };
    put("classes", input.classes.map(|part| classes(&part)));
    put("sets", input.sets.map(|part| sets(&part)));
    put("scores", input.scores.map(|part| scores(&part)));
    put("numbers", input.numbers.map(|[x, y]| numbers(&x, &y)));
    put("ranking", input.ranking.map(|part| ranking(&part)));
    put("quantiles", input.quantiles.map(|(values, at)| quantiles(&values, &at)));
    put("ratios", input.ratios.map(|part| ratios(&part)));
    put("paired", input.paired.map(paired));
    put("share", input.share.map(|(right, rows, level)| json!(wilson_at(right, rows, level))));
    put("p_values", input.p_values.map(|part| json!(holm(&part))));
    put(
        "logits",
        input.logits.map(|(base, converted, classes)| logits(&base, &converted, classes)),
    );
    put(
        "embeddings",
        input.embeddings.map(|(base, converted, width)| embeddings(&base, &converted, width)),
    );
    serde_json::to_writer(std::io::stdout().lock(), &all)?;
    Ok(())
}

fn classes(part: &Classes) -> Value {
    let counts = Confusion::count(part.count, &part.references, &part.predictions);
    json!({
        "accuracy": counts.accuracy(),
        "balanced_accuracy": counts.balanced_accuracy(),
        "f1": (0..part.count).map(|class| counts.f1(class)).collect::<Vec<_>>(),
        "macro_f1": counts.macro_f1(),
        "micro_f1": counts.micro_f1(),
        "matthews": counts.matthews(),
    })
}

fn sets(part: &Sets) -> Value {
    let rows = part.predictions.iter().zip(&part.references);
    json!({"micro_f1": micro_f1(rows.map(|(said, right)| Hits::count(said, right)))})
}

fn scores(part: &Scores) -> Value {
    let best = best_threshold(&part.scores, &part.relevant);
    json!({
        "average_precision": average_precision(&part.scores, &part.relevant),
        "best_accuracy": best.map(|best| best.accuracy),
        "best_threshold": best.map(|best| best.score),
        "accuracy_there": best.and_then(|best| best.accuracy_on(&part.scores, &part.relevant)),
    })
}

fn numbers(x: &[f64], y: &[f64]) -> Value {
    json!({"pearson": pearson(x, y), "spearman": spearman(x, y), "ranks": ranks(x)})
}

fn ranking(part: &Ranking) -> Value {
    let relevant: Vec<bool> = part.gains.iter().map(|gain| *gain > 0.0).collect();
    json!({
        "ndcg": ndcg(&part.gains, &part.judged, part.k),
        "recall": recall(&relevant, part.judged.len(), part.k),
    })
}

fn quantiles(values: &[f64], at: &[f64]) -> Value {
    let all = |of: fn(&[f64], f64) -> Option<f64>| -> Vec<_> {
        at.iter().map(|p| of(values, *p)).collect()
    };
    json!({"linear": all(quantile), "nearest_rank": all(nearest_rank)})
}

fn ratios(part: &[f64]) -> Value {
    let Some(ratio) = LogRatio::new(part) else { return Value::Null };
    json!({
        "value": ratio.value(),
        "bounds": ratio.bounds(),
        "two_sided": ratio.two_sided(),
        "median": ratio.median(),
        "median_interval": ratio.median_interval(),
    })
}

fn paired([lost, gained, rows]: [usize; 3]) -> Value {
    let (test, drop) = (McNemar::of(lost, gained), Drop { lost, gained, rows });
    json!({
        "exact": test.exact,
        "mid_p": test.mid_p,
        "one_sided": test.one_sided,
        "bounds": drop.bounds(),
        "two_sided": drop.two_sided(),
    })
}

fn logits(base: &[f32], converted: &[f32], classes: usize) -> Value {
    let Some(found) = LogitFidelity::of(base, converted, classes) else { return Value::Null };
    json!({
        "kl": found.kl,
        "agreed": found.agreed,
        "largest_probability_difference": found.largest_probability_difference,
        "top_probability_mean": found.top_probability_mean,
        "top_probability_rms": found.top_probability_rms,
        "largest_logit_difference": found.largest_logit_difference,
    })
}

fn embeddings(base: &[f32], converted: &[f32], width: usize) -> Value {
    let Some(found) = EmbeddingFidelity::of(base, converted, width, None) else {
        return Value::Null;
    };
    json!({
        "cosines": found.cosines,
        "relative_error": found.relative_error,
        "pair_rank_correlation": found.pair_rank_correlation,
        "neighbour_overlap": found.neighbour_overlap,
    })
}
