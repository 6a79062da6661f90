//! All cells of a run as one table.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use mlxq_eval::gate::Verdict;

use super::table::shown;
use crate::record::{CellReport, Report, SideReport};

/// A line for each model on each data set: its primary figure before and after, what that cost, the
/// verdict, and the gates that are no pass.
pub(crate) fn summary(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "model", "data set", "rows", "figure", "before", "after", "drop", "p, Holm", "speed",
        "verdict",
    ]);
    for cell in &report.cells {
        table.add_row(line(cell, report));
    }
    for failed in &report.failures {
        let mut line: [String; 10] = Default::default();
        line[0].clone_from(&failed.model);
        line[1].clone_from(&failed.dataset_key);
        line[9] = "failed".to_owned();
        table.add_row(line);
    }
    for column in [2, 4, 5, 6, 7, 8] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!("\nAll cells of the run\n{table}\n");
    if let Some(changes) = &report.changes {
        text.push_str(&format!("p: {}\n", changes.method));
    }
    text
}

fn line(cell: &CellReport, report: &Report) -> [String; 10] {
    let percent = |value: Option<f64>| shown(value.map(|value| value * 100.0), 2);
    let converted = &cell.sides.converted;
    let changes = report.changes.iter().flat_map(|changes| &changes.cells);
    let change = changes.into_iter().find(|change| change.cell == cell.id);
    [
        cell.model.clone(),
        cell.dataset_key.clone(),
        cell.sample_size.to_string(),
        converted.scores.first().map_or(String::new(), |figure| figure.title.clone()),
        percent(cell.baseline().and_then(SideReport::primary)),
        percent(converted.primary()),
        percent(cell.drop()),
        shown(change.map(|change| change.p_holm), 3),
        shown(cell.speedup, 2),
        Verdict::from(cell.verdict).words().to_owned(),
    ]
}
