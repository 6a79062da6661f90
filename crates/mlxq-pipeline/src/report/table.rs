//! One comparison as a table for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use mlxq_eval::metric::{fewest_for_quantile, percentile};

use crate::record::{Comparison, SideFigures};

/// The figures side by side, then each gate's verdict in words.
pub(crate) fn table(comparison: &Comparison) -> String {
    let torch = comparison.torch.as_ref().map(|side| &side.figures);
    let (original, converted) =
        (&comparison.native_original.figures, &comparison.converted.figures);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let converted_name = format!("mlxq, {}-bit", comparison.bits);
    table.set_header(["", "PyTorch f32", "mlxq f32", converted_name.as_str()]);
    for (place, (metric, _)) in original.scores.iter().enumerate() {
        let score =
            |side: &SideFigures| shown(side.scores.get(place).map(|(_, value)| value * 100.0), 2);
        let torch = torch.map_or("-".to_owned(), score);
        table.add_row([metric.title().to_owned(), torch, score(original), score(converted)]);
    }
    for (name, figure) in FIGURES {
        let torch = torch.map_or("-".to_owned(), figure);
        table.add_row([name.to_owned(), torch, figure(original), figure(converted)]);
    }
    for column in 1..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!(
        "\n{} on {} ({} rows)\n{table}\n",
        comparison.model, comparison.dataset, comparison.sample_size
    );
    if torch.is_some_and(|torch| torch.cached) {
        text.push_str("* PyTorch's times are from an earlier run\n");
    }
    if let Some(why) = &comparison.torch_missing {
        text.push_str(&format!("PyTorch was not measured: {why}\n"));
    }
    for gate in &comparison.gates {
        let words = gate.verdict.words().to_uppercase();
        text.push_str(&format!("{words:>12}  {}: {}\n", gate.name, gate.description));
    }
    text.push_str(&format!(
        "verdict: {}, {}\n",
        comparison.verdict().words(),
        comparison.compares()
    ));
    text
}

type Figure = fn(&SideFigures) -> String;

const FIGURES: [(&str, Figure); 9] = [
    ("queries a minute", |side| timed(side, side.qpm, 0)),
    ("tokens a second", |side| timed(side, side.tokens_per_second.map(|rates| rates.0), 0)),
    ("latency p50 ms", |side| latency(side, 0.5)),
    ("latency p95 ms", |side| latency(side, 0.95)),
    ("latency p99 ms", |side| latency(side, 0.99)),
    ("size MB", |side| shown(Some(side.size_mb), 2)),
    ("memory mean MB", |side| shown(side.memory_mb.map(|memory| memory.0), 0)),
    ("memory peak MB", |side| shown(side.memory_mb.map(|memory| memory.1), 0)),
    ("load s", |side| timed(side, Some(side.load_seconds.0), 2)),
];

fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A time, marked when it is from an earlier run.
fn timed(side: &SideFigures, value: Option<f64>, decimals: usize) -> String {
    let mark = if side.cached { " *" } else { "" };
    format!("{}{mark}", shown(value, decimals))
}

fn latency(side: &SideFigures, p: f64) -> String {
    if side.latencies_ms.len() < fewest_for_quantile(p) {
        return format!("needs {} queries", fewest_for_quantile(p));
    }
    timed(side, percentile(&side.latencies_ms, p), 2)
}
