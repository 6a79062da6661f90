//! Fidelity as a table for the terminal.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use mlxq_eval::gate::Verdict;

use super::table::shown;
use crate::record::{FidelityComparison, FidelityReport};

/// The figures of each comparison side by side, then the gates and what is worth a warning.
pub(crate) fn fidelity(report: &FidelityReport) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let titles = report.comparisons.iter().map(|comparison| comparison.title.clone());
    table.set_header(std::iter::once(String::new()).chain(titles));
    for (name, figure) in FIGURES {
        let figures: Vec<_> = report.comparisons.iter().map(figure).collect();
        if figures.iter().any(|figure| figure != "-") {
            table.add_row(std::iter::once((*name).to_owned()).chain(figures));
        }
    }
    let mut text = format!("\n{} over {} texts\n{table}\n", report.model, report.rows);
    if let Some(why) = &report.torch_missing {
        text.push_str(&format!("PyTorch was not run: {why}\n"));
    }
    for gate in &report.gates {
        let words = Verdict::from(gate.verdict).words().to_uppercase();
        text.push_str(&format!("{words:>12}  {}: {}\n", gate.name, gate.description));
    }
    text.push_str(&format!("verdict: {}\n", Verdict::from(report.verdict).words()));
    text
}

type Figure = fn(&FidelityComparison) -> String;

const FIGURES: &[(&str, Figure)] = &[
    ("same answer %", |found| {
        let agreement = found.fidelity.logits.as_ref().map(|logits| &logits.agreement);
        agreement
            .map_or("-".to_owned(), |share| with_interval(share.value, share.interval_95, 100.0, 2))
    }),
    ("mean KL, nats", |found| match &found.fidelity.logits {
        Some(logits) => logits.kl_mean.map_or("infinite".to_owned(), |mean| {
            with_interval(mean, found.mean_interval_95, 1.0, 6)
        }),
        None => "-".to_owned(),
    }),
    ("KL p99", |found| logit(found, |logits| logits.kl_p99)),
    ("KL largest", |found| logit(found, |logits| logits.kl_max)),
    ("largest probability difference", |found| {
        logit(found, |logits| Some(logits.largest_probability_difference))
    }),
    ("mean cosine", |found| {
        let mean = found.fidelity.embeddings.as_ref().map(|embeddings| embeddings.cosine_mean);
        mean.map_or("-".to_owned(), |mean| with_interval(mean, found.mean_interval_95, 1.0, 6))
    }),
    ("cosine p1", |found| {
        shown(found.fidelity.embeddings.as_ref().and_then(|found| found.cosine_p1), 6)
    }),
    ("smallest cosine", |found| {
        shown(found.fidelity.embeddings.as_ref().map(|found| found.cosine_min), 6)
    }),
    ("relative error", |found| {
        shown(found.fidelity.embeddings.as_ref().map(|found| found.relative_error), 6)
    }),
    ("rank correlation of pairs", |found| {
        shown(found.fidelity.embeddings.as_ref().and_then(|found| found.pair_rank_correlation), 6)
    }),
    ("same ten neighbours %", |found| {
        let share = found.fidelity.embeddings.as_ref().and_then(|found| found.neighbour_overlap_10);
        shown(share.map(|share| share * 100.0), 2)
    }),
    ("largest difference", |found| format!("{:.2e}", found.fidelity.largest_difference)),
];

fn logit(
    found: &FidelityComparison,
    figure: fn(&crate::record::LogitFidelity) -> Option<f64>,
) -> String {
    shown(found.fidelity.logits.as_ref().and_then(figure), 6)
}

fn with_interval(value: f64, interval: Option<[f64; 2]>, scale: f64, decimals: usize) -> String {
    let value = value * scale;
    match interval {
        Some([low, high]) => {
            let (low, high) = (low * scale, high * scale);
            format!("{value:.decimals$} [{low:.decimals$}, {high:.decimals$}]")
        }
        None => format!("{value:.decimals$}"),
    }
}
