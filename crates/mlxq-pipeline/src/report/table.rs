//! One comparison as a table for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use mlxq_eval::gate::Verdict;

use crate::record::{CellReport, SideReport, Sides, TimingSource};

/// The figures side by side, then each gate's verdict in words.
pub(crate) fn table(cell: &CellReport) -> String {
    let columns = columns(cell);
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = columns.iter().map(|(name, _)| name.clone());
    table.set_header(std::iter::once(String::new()).chain(names));
    let row = |name: &str, figure: &dyn Fn(&SideReport) -> String| {
        let figures = columns.iter().map(|(_, side)| side.map_or("-".to_owned(), figure));
        std::iter::once(name.to_owned()).chain(figures).collect::<Vec<_>>()
    };
    for (place, figure) in cell.sides.converted.scores.iter().enumerate() {
        let score =
            |side: &SideReport| shown(side.scores.get(place).map(|figure| figure.value * 100.0), 2);
        table.add_row(row(&figure.title, &score));
    }
    for (name, figure) in FIGURES {
        table.add_row(row(name, &figure));
    }
    for column in 1..=columns.len() {
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
    for (name, side) in &columns {
        for flag in side.iter().flat_map(|side| &side.timing.timing_checks.flags) {
            text.push_str(&format!("{name}: {flag}\n"));
        }
    }
    if cell.sides.torch.as_ref().is_some_and(is_cached) {
        text.push_str("* PyTorch's times are from an earlier run\n");
    }
    if let (Some(why), None) = (&cell.torch_missing, &cell.sides.itself) {
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

/// The engines by their names, in the order in which they are compared.
fn columns(cell: &CellReport) -> Vec<(String, Option<&SideReport>)> {
    let Sides { torch, native_original, itself, converted } = &cell.sides;
    let name = format!("mlxq, {}-bit", cell.quantization.bits);
    if itself.is_some() {
        return vec![(format!("{name}, itself"), itself.as_ref()), (name, Some(converted))];
    }
    vec![
        ("PyTorch f32".to_owned(), torch.as_ref()),
        ("mlxq f32".to_owned(), native_original.as_ref()),
        (name, Some(converted)),
    ]
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
