//! One comparison as a table for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use mlxq_eval::gate::Verdict;

use crate::record::{CellReport, SideReport, TimingSource};

/// The figures side by side, then each gate's verdict in words.
pub(crate) fn table(cell: &CellReport) -> String {
    let torch = cell.sides.torch.as_ref();
    let (original, converted) = (&cell.sides.native_original, &cell.sides.converted);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let converted_name = format!("mlxq, {}-bit", cell.quantization.bits);
    table.set_header(["", "PyTorch f32", "mlxq f32", converted_name.as_str()]);
    for (place, figure) in original.scores.iter().enumerate() {
        let score =
            |side: &SideReport| shown(side.scores.get(place).map(|figure| figure.value * 100.0), 2);
        let torch = torch.map_or("-".to_owned(), score);
        table.add_row([figure.title.clone(), torch, score(original), score(converted)]);
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
        "\n{} on {} ({} rows, {})\n{table}\n",
        cell.model,
        cell.dataset_key,
        cell.sample_size,
        cell.provenance.protocol.words()
    );
    let sides =
        [("PyTorch", torch), ("mlxq f32", Some(original)), (&converted_name, Some(converted))];
    for (name, side) in sides {
        for flag in side.iter().flat_map(|side| &side.timing.timing_checks.flags) {
            text.push_str(&format!("{name}: {flag}\n"));
        }
    }
    if torch.is_some_and(is_cached) {
        text.push_str("* PyTorch's times are from an earlier run\n");
    }
    if let Some(why) = &cell.torch_missing {
        text.push_str(&format!("PyTorch was not measured: {why}\n"));
    }
    for gate in &cell.gates {
        let words = Verdict::from(gate.verdict).words().to_uppercase();
        text.push_str(&format!("{words:>12}  {}: {}\n", gate.name, gate.description));
    }
    let words = Verdict::from(cell.verdict).words();
    text.push_str(&format!("verdict: {words}, {}\n", cell.verdict_compares));
    text
}

type Figure = fn(&SideReport) -> String;

const FIGURES: [(&str, Figure); 9] = [
    ("queries a minute", |side| timed(side, side.qpm, 0)),
    ("tokens a second", |side| timed(side, side.tokens_per_sec, 0)),
    ("latency p50 ms", |side| latency(side, "latency_p50_ms", side.latency_p50_ms)),
    ("latency p95 ms", |side| latency(side, "latency_p95_ms", side.latency_p95_ms)),
    ("latency p99 ms", |side| latency(side, "latency_p99_ms", side.latency_p99_ms)),
    ("size MB", |side| shown(Some(side.size_mb), 2)),
    ("memory mean MB", |side| shown(side.memory_avg_mb, 0)),
    ("memory peak MB", |side| shown(side.memory_peak_mb, 0)),
    ("load s", |side| timed(side, Some(side.load_seconds), 2)),
];

pub(super) fn shown(value: Option<f64>, decimals: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// A time, marked when it is from an earlier run.
fn timed(side: &SideReport, value: Option<f64>, decimals: usize) -> String {
    let mark = if is_cached(side) { " *" } else { "" };
    format!("{}{mark}", shown(value, decimals))
}

fn is_cached(side: &SideReport) -> bool {
    side.timing_source == TimingSource::Cached
}

fn latency(side: &SideReport, key: &str, value: Option<f64>) -> String {
    match side.missing.get(key) {
        Some(_) if side.timing.batch_size.is_some() => "-".to_owned(),
        Some(why) => why.rsplit(", ").next().unwrap_or(why).to_owned() + " queries",
        None => timed(side, value, 2),
    }
}
