//! A folder that was looked at, for people: the summary, the layers, then groups of like tensors.

use std::cmp::Ordering;
use std::collections::HashMap;

use comfy_table::CellAlignment::{self, Left, Right};
use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};
use mlxq_checkpoint::Deviation;

use crate::record::{Inspected, Row, Total, bits_per_weight};

/// Columns of the terminal that a line takes at most.
const WIDTH: u16 = 100;
/// Letters of a name in one line.
const NAME: usize = 30;
/// Notes of each kind that are shown.
const NOTES: usize = 10;

/// A line below the header, and space between the columns.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));
const PADDING: (u16, u16) = (0, 2);

/// A line of a table.
struct Line<'r> {
    name: String,
    shape: String,
    first: &'r Row,
    total: Total,
}

/// A column of a table.
type Column = (&'static str, CellAlignment, fn(&Line) -> String);

const LAYER: [Column; 5] = [
    ("layer", Left, |line| line.name.clone()),
    ("tensors", Right, |line| line.total.rows.to_string()),
    ("parameters", Right, |line| line.total.parameters.to_string()),
    BYTES,
    ("bits", Right, |line| bits(line.total.bytes, &line.total)),
];
const LAYER_TO_BE: [Column; 2] =
    [("converted", Right, |line| line.total.converted_bytes.to_string()), BITS];
const TENSOR: Column = ("tensor", Left, |line| wrapped(&line.name));
const COUNT: Column = ("n", Right, |line| line.total.rows.to_string());
const SHAPE: Column = ("shape", Left, |line| line.shape.clone());
const CONVERTED: Column = ("form", Left, |line| line.first.converted_form());
const ORIGINAL: Column = ("form", Left, |line| line.first.tensor.info.dtype.name().to_owned());
const TO_BE: Column = ("becomes", Left, |line| line.first.converted_form());
const RULE: Column = ("rule", Left, |line| line.first.tensor.rule.to_string());
const BYTES: Column = ("bytes", Right, |line| line.total.bytes.to_string());
const BITS: Column = ("bits", Right, |line| bits(line.total.converted_bytes, &line.total));
const ERRORS: [Column; 2] = [
    ("rel. RMS", Right, |line| error(line.total.deviation, Deviation::relative_rms)),
    ("largest", Right, |line| error(line.total.deviation, Deviation::largest)),
];

impl Inspected {
    /// The summary and tables; each tensor where `all` is set, else like tensors of all layers in one
    /// line. What was compared stands in the order of its error, the largest first.
    pub fn to_text(&self, all: bool) -> String {
        let left_out = self.left_out.iter().map(|(name, why)| (name.as_str(), why.as_str()));
        let not_compared = self.not_compared.iter().map(|(name, why)| (name.as_str(), *why));
        [
            self.summary(),
            self.layer_table(),
            self.tensor_table(all),
            notes("left out", left_out.collect(), all),
            notes("not compared", not_compared.collect(), all),
        ]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(|part| part + "\n")
        .collect()
    }

    fn summary(&self) -> String {
        let total = self.total(&self.rows);
        let format = self.format;
        let (mode, bits, group) = (format.mode(), format.bits(), format.group_size());
        let format = format!("{mode}, {bits} bits in groups of {group}");
        let state = match (self.is_converted, &self.problem) {
            (true, _) => format!("converted: {format}"),
            (false, None) => format!("original; `mlxq convert` would make it {format}"),
            (false, Some(_)) => "original; `mlxq convert` would refuse it".to_owned(),
        };
        let layout = match self.has_layout {
            true => "which has a layout of its own",
            false => "which has no layout: names and shapes decide",
        };
        let with_quantized = |all: u64, quantized: u64| match quantized {
            0 => all.to_string(),
            _ if self.is_converted => format!("{all}, of them {quantized} quantized"),
            _ => format!("{all}, of them {quantized} would be quantized"),
        };
        let size = |bytes: u64| {
            let mb = bytes as f64 / f64::from(1 << 20);
            format!("{bytes} bytes ({mb:.1} MB), {} bits per weight", self::bits(bytes, &total))
        };
        let tensors = with_quantized(total.rows as u64, total.quantized as u64);
        let mut lines = vec![
            ("folder", self.folder.display().to_string()),
            ("model type", format!("{}, {layout}", self.model_type.escape_debug())),
            ("state", state),
            ("tensors", tensors),
            ("parameters", with_quantized(total.parameters, total.quantized_parameters)),
            ("size", size(total.bytes)),
        ];
        if self.is_foreseen() {
            lines.push(("converted", size(total.converted_bytes)));
        }
        lines.extend(self.problem.iter().map(|problem| ("problem", problem.clone())));
        lines.extend(self.source.iter().map(|source| ("source", source.display().to_string())));
        if total.deviation.is_some() {
            let relative = error(total.deviation, Deviation::relative_rms);
            let largest = error(total.deviation, Deviation::largest);
            lines.push(("error", format!("{relative} relative RMS, {largest} the largest")));
        }
        lines.iter().map(|(name, value)| format!("{name:<12}{value}\n")).collect()
    }

    fn layer_table(&self) -> String {
        let mut lines: Vec<Line> = Vec::new();
        let mut last = (None, Vec::new());
        for (layer, rows) in self.layers() {
            let name = layer.map_or("outside layers".to_owned(), |layer| layer.to_string());
            let total = self.total(rows.iter().copied());
            let forms: Vec<_> = rows.iter().map(|row| row.converted_form()).collect();
            let after = layer.and_then(|layer| layer.checked_sub(1));
            let alike = after.is_some() && (after, &forms) == (last.0, &last.1);
            last = (layer, forms);
            // Layers that are alike take one line, unless their errors tell them apart.
            match lines.last_mut() {
                Some(line) if alike && line.total == total && total.deviation.is_none() => {
                    let first = line.name.split(' ').next().unwrap_or_default();
                    line.name = format!("{first} to {name}, each");
                }
                _ => lines.push(Line { name, shape: String::new(), first: rows[0], total }),
            }
        }
        let mut columns = LAYER.to_vec();
        columns.extend(LAYER_TO_BE.iter().filter(|_| self.is_foreseen()));
        self.table(columns, lines)
    }

    fn tensor_table(&self, all: bool) -> String {
        let mut groups: Vec<((String, String), Vec<&Row>)> = Vec::new();
        let mut places = HashMap::new();
        for row in &self.rows {
            let names = if all { (row.name().to_owned(), shape(row)) } else { group(row) };
            let (dtype, rule) = (row.tensor.info.dtype, &row.tensor.rule);
            let kind = (names.clone(), dtype, row.converted_form(), rule);
            let place = *places.entry(kind).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((names, vec![row])),
            }
        }
        let lines = groups.into_iter().map(|((name, shape), rows)| {
            let total = self.total(rows.iter().copied());
            Line { name, shape, first: rows[0], total }
        });
        let mut columns = vec![TENSOR];
        columns.extend((!all).then_some(COUNT));
        columns.extend([SHAPE, if self.is_converted { CONVERTED } else { ORIGINAL }]);
        columns.extend(self.is_foreseen().then_some(TO_BE));
        // Beside errors there is room for sizes only where they are asked for.
        columns.extend([BITS, BYTES].iter().filter(|_| all || self.source.is_none()));
        columns.push(RULE);
        self.table(columns, lines.collect())
    }

    /// Lines as a table, by their errors if there are any.
    fn table(&self, mut columns: Vec<Column>, mut lines: Vec<Line>) -> String {
        columns.extend(ERRORS.iter().filter(|_| self.source.is_some()));
        lines.sort_by(|a, b| larger(a.total.deviation, b.total.deviation));
        let mut table = Table::new();
        table.load_style(STYLE);
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
        table.set_header(columns.iter().map(|(name, ..)| *name));
        for line in &lines {
            table.add_row(columns.iter().map(|(.., cell)| cell(line)));
        }
        for ((_, alignment, _), column) in columns.iter().zip(table.column_iter_mut()) {
            column.set_cell_alignment(*alignment);
            column.set_padding(PADDING);
        }
        if let Some(names) = table.column_mut(0) {
            // Names are cut at their dots, and nowhere else for want of room.
            let parts = lines.iter().flat_map(|line| line.name.lines());
            let longest = parts.map(|part| part.chars().count()).max().unwrap_or(0);
            let width = longest.min(NAME) as u16 + PADDING.1;
            names.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
        }
        table.trim_fmt() + "\n"
    }
}

/// The larger error first, numbers that are not finite before all; what was not compared last.
fn larger(a: Option<Deviation>, b: Option<Deviation>) -> Ordering {
    let key = |deviation: Option<Deviation>| {
        deviation.map_or(-1.0, |deviation| deviation.relative_rms().abs())
    };
    key(b).total_cmp(&key(a))
}

/// The name with `*` for every number among its parts.
fn pattern(name: &str) -> String {
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = name.split('.').map(|part| if is_number(&part) { "*" } else { part });
    parts.collect::<Vec<_>>().join(".")
}

/// A name in lines that end after a dot.
fn wrapped(name: &str) -> String {
    let (mut lines, mut length) = (String::new(), 0);
    for part in name.escape_debug().to_string().split_inclusive('.') {
        let letters = part.chars().count();
        if length > 0 && length + letters > NAME {
            lines.push('\n');
            length = 0;
        }
        lines.push_str(part);
        length += letters;
    }
    lines
}

/// What like tensors of all layers are called, and their shape; biases and normalizations are alike
/// whatever they belong to.
fn group(row: &Row) -> (String, String) {
    match row.tensor.is_matrix {
        true => (pattern(row.name()), shape(row)),
        false => {
            let last = row.name().rsplit('.').next().unwrap_or_default();
            (format!("*.{last}"), "-".to_owned())
        }
    }
}

fn shape(row: &Row) -> String {
    row.tensor.info.shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("×")
}

fn bits(bytes: u64, total: &Total) -> String {
    format!("{:.2}", bits_per_weight(bytes, total.parameters))
}

fn error(deviation: Option<Deviation>, which: fn(&Deviation) -> f64) -> String {
    match deviation.as_ref().map(which) {
        None => "-".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) => format!("{value:.2e}"),
    }
}

/// Tensors with their reasons, all or the first of them.
fn notes(title: &str, notes: Vec<(&str, &str)>, all: bool) -> String {
    let shown = if all { notes.len() } else { notes.len().min(NOTES) };
    let line = |(name, why): &(&str, &str)| format!("{title}: {}: {why}\n", name.escape_debug());
    let mut text: String = notes[..shown].iter().map(line).collect();
    if shown < notes.len() {
        text.push_str(&format!("{title}: {} more; --tensors shows all\n", notes.len() - shown));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_of_all_layers_have_one_pattern() {
        assert_eq!(super::pattern("a.10.b2.3"), "a.*.b2.*");
        assert_eq!(super::pattern("a..b"), "a..b");
    }

    #[test]
    fn long_names_break_after_dots() {
        let name = "model.layers.10.self_attn.rotary_embeddings.weight";
        let lines = "model.layers.10.self_attn.\nrotary_embeddings.weight";
        assert_eq!(super::wrapped(name), lines);
        assert_eq!(super::wrapped("short.name"), "short.name");
    }
}
