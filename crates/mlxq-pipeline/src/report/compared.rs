//! Two runs side by side, for the terminal.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use mlxq_eval::gate::Verdict;

use super::table::shown;
use crate::record::{Compared, ComparedCell, ComparedFigure, ComparedRun, ComparedSide};

impl Compared {
    /// As JSON; the keys are in `docs/records.md`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    /// As tables.
    pub fn to_text(&self) -> String {
        let run = |name: &str, run: &ComparedRun| {
            let ComparedRun { run_id, started, version, .. } = run;
            format!("{name}: run {run_id}, begun {started}, mlxq {version}\n")
        };
        let mut text = run("A", &self.runs[0]) + &run("B", &self.runs[1]);
        text.extend(self.cells.iter().map(cell));
        for (name, only) in ["A", "B"].iter().zip(&self.only_in) {
            if !only.is_empty() {
                text.push_str(&format!("only in {name}: {}\n", only.join(", ")));
            }
        }
        text
    }
}

type Figure = fn(&ComparedSide) -> Option<f64>;

/// Name, figure, decimals.
const FIGURES: [(&str, Figure, usize); 6] = [
    ("queries a minute", |side| side.qpm, 0),
    ("latency p50 ms", |side| side.latency_p50_ms, 2),
    ("latency p99 ms", |side| side.latency_p99_ms, 2),
    ("size MB", |side| Some(side.size_mb), 2),
    ("memory mean MB", |side| side.memory_avg_mb, 0),
    ("memory peak MB", |side| side.memory_peak_mb, 0),
];

fn cell(cell: &ComparedCell) -> String {
    let [a, b] = &cell.sides;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["", "A", "B", "B - A", "95 % interval"]);
    for figure in &cell.figures {
        table.add_row(figure_line(figure));
    }
    for (name, figure, decimals) in FIGURES {
        let (a, b) = (figure(a), figure(b));
        let difference = a.zip(b).map(|(a, b)| format!("{:+.decimals$}", b - a));
        table.add_row([
            name.to_owned(),
            shown(a, decimals),
            shown(b, decimals),
            difference.unwrap_or("-".to_owned()),
            String::new(),
        ]);
    }
    for column in 1..5 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let name = |side: &ComparedSide| {
        let verdict = Verdict::from(side.verdict).words();
        format!("{}, {}-bit, measured {}: {verdict}", side.model, side.bits, side.measured)
    };
    let mut text = format!(
        "\n{} ({} rows), converted models\nA: {}\nB: {}\n{table}\n",
        cell.dataset_key,
        cell.rows,
        name(a),
        name(b)
    );
    for figure in &cell.figures {
        text.push_str(&format!("{}: {}\n", figure.title, figure.method));
    }
    if let Some(flips) = &cell.mcnemar {
        text.push_str(&format!(
            "answers: {} lost, {} gained from A to B; McNemar's exact p = {:.4}\n",
            flips.lost, flips.gained, flips.p
        ));
    }
    match cell.speed.ratio {
        Some(ratio) => text.push_str(&format!("speed: {ratio:.3} x, {}\n", cell.speed.note)),
        None => text.push_str(&format!("speed: {}\n", cell.speed.note)),
    }
    text
}

fn figure_line(figure: &ComparedFigure) -> [String; 5] {
    let percent = |value: f64| format!("{:.3}", value * 100.0);
    [
        figure.title.clone(),
        percent(figure.values[0]),
        percent(figure.values[1]),
        format!("{:+.3}", figure.difference * 100.0),
        figure.interval_95.map_or("-".to_owned(), |[low, high]| {
            format!("{:+.3} to {:+.3}", low * 100.0, high * 100.0)
        }),
    ]
}
