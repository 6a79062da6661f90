//! The tables, in Markdown, as docs/performance.md has them.

use super::figures::{Error, Figure, Series, is_single};
use super::targets::Target;

/// Speeds, then errors and memory, of a series.
pub(super) fn series(series: &Series) -> String {
    // Those of some number of tokens by that number.
    let mut counted: Vec<&str> = series.rows.keys().map(String::as_str).collect();
    counted.retain(|name| name.starts_with("tokens-"));
    counted.sort_by_key(|name| (name.len(), *name));
    let mut workloads = vec!["single", "stream", "sorted", "long"];
    workloads.extend(counted);
    workloads.retain(|name| series.rows.contains_key(*name));
    let heads: Vec<String> = workloads.iter().map(|name| heading(name)).collect();
    let mut text = format!("\n## {}\n", series.name);
    for name in &workloads {
        let (rows, tokens) = (series.rows[*name], series.tokens[*name]);
        let mean = tokens as f64 / rows as f64;
        text += &format!("{name}: {rows} rows, {mean:.1} tokens in the mean; ");
    }
    text.truncate(text.len() - 2);
    text += &format!(
        "\n\n| engine | {} |\n|---|{}\n",
        heads.join(" | "),
        "---|".repeat(3 * heads.len())
    );
    for engine in &series.engines {
        let cells = workloads.iter().map(|name| speeds(series.figure(engine, name), name));
        text += &format!("| {} | {} |\n", engine.name, cells.collect::<Vec<_>>().join(" | "));
    }
    text += "\n| engine | max error | 1 - min cosine | same weights: max error | 1 - min cosine | \
             resident MB | version |\n|---|---|---|---|---|---|---|\n";
    for engine in &series.engines {
        let resident =
            engine.resident_bytes.map_or("–".to_owned(), |bytes| format!("{:.0}", bytes * 1e-6));
        text += &format!(
            "| {} | {} | {} | {resident} | {}{} |\n",
            engine.name,
            errors(engine.error),
            errors(engine.error_same_weights),
            engine.about.version,
            engine.about.device.as_ref().map_or(String::new(), |device| format!(", {device}")),
        );
    }
    for reason in &series.skipped {
        text += &format!("not compared: {reason}\n");
    }
    text
}

fn heading(workload: &str) -> String {
    let unit = if is_single(workload) { "ms" } else { "/s" };
    format!("{workload} {unit} | × PyTorch | × ORT")
}

fn speeds(figure: Option<Figure>, workload: &str) -> String {
    let Some(figure) = figure else { return "– | – | –".to_owned() };
    let value = match is_single(workload) {
        true => format!("{:.2}", figure.value),
        false => format!("{:.0}", figure.value),
    };
    let times = |ratio: Option<f64>| ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
    format!("{value} | {} | {}", times(figure.per_pytorch), times(figure.per_ort))
}

fn errors(error: Option<Error>) -> String {
    let words =
        |error: Error| format!("{:.1e} | {:.1e}", error.largest_difference, error.one_minus_cosine);
    error.map_or("– | –".to_owned(), words)
}

/// Each target and what was measured.
pub(super) fn targets(targets: &[Target]) -> String {
    let mut text =
        "\n## Targets\n| | must | moonshot | measured | |\n|---|---|---|---|---|\n".to_owned();
    for target in targets {
        let number = |value: Option<f64>| value.map_or("–".to_owned(), shown);
        text += &format!(
            "| {} | {} | {} | {} | {} |\n",
            target.what,
            number(target.must),
            number(target.moonshot),
            number(target.measured),
            target.verdict(),
        );
    }
    text
}

/// Small numbers by their power of ten.
fn shown(value: f64) -> String {
    if value < 0.01 { format!("{value:.1e}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::series;

    #[test]
    fn a_row_holds_the_figures_of_each_workload() {
        let text = super::series(&series());
        assert!(
            text.contains(
                "| engine | single ms | × PyTorch | × ORT | sorted /s | × PyTorch | × ORT |\n"
            ),
            "{text}"
        );
        assert!(
            text.contains("| mlxq A16 | 10.00 | 4.50 | 2.00 | 100 | 4.50 | 2.00 |\n"),
            "{text}"
        );
        assert!(
            text.contains("| mlxq A16 | 1.0e-2 | 1.0e-4 | 1.0e-4 | 8.0e-7 | 80 | 1 |\n"),
            "{text}"
        );
    }
}
