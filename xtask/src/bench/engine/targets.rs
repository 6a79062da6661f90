//! What the engine is meant to reach, and whether it does.

use serde::Serialize;

use super::figures::Series;

/// A target and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Target {
    pub(super) what: String,
    pub(super) must: Option<f64>,
    pub(super) moonshot: Option<f64>,
    pub(super) measured: Option<f64>,
    /// Whether the measured value may not be above the others; else it may not be below.
    pub(super) at_most: bool,
}

impl Target {
    /// Whether it is met, in a word.
    pub(super) fn verdict(&self) -> &'static str {
        let reached = |bound: f64| {
            let above = self.measured.map(|value| value >= bound);
            let below = self.measured.map(|value| value <= bound);
            if self.at_most { below } else { above }
        };
        match (self.must.and_then(reached), self.moonshot.and_then(reached)) {
            (_, Some(true)) => "moonshot",
            (Some(true), _) => "met",
            (Some(false), _) => "missed",
            (None, Some(false)) => "below the moonshot",
            (None, None) if self.measured.is_none() => "not measured",
            (None, None) => "",
        }
    }
}

/// Model, workload, peer; must and moonshot for 16-bit activations, then for 8-bit ones.
type Ratio = (&'static str, &'static str, Peer, [f64; 2], [f64; 2]);

#[derive(Debug, Clone, Copy)]
enum Peer {
    PyTorch,
    Ort,
}

/// No target.
const NONE: [f64; 2] = [f64::NAN; 2];

const RATIOS: [Ratio; 10] = [
    ("all-MiniLM-L6-v2", "single", Peer::PyTorch, [9.0, 11.0], [14.0, 18.0]),
    ("all-MiniLM-L6-v2", "single", Peer::Ort, [1.3, 1.6], [2.1, 2.6]),
    ("all-MiniLM-L6-v2", "stream", Peer::PyTorch, [2.4, 2.8], [3.8, 4.8]),
    ("all-MiniLM-L6-v2", "stream", Peer::Ort, [1.0, 1.1], [1.5, 1.9]),
    ("all-MiniLM-L6-v2", "sorted", Peer::PyTorch, [1.6, 1.85], [2.5, 3.2]),
    ("all-MiniLM-L6-v2", "sorted", Peer::Ort, NONE, [1.15, 1.4]),
    ("bert-base", "single", Peer::PyTorch, [6.0, 7.0], [10.0, 12.0]),
    ("bert-base", "single", Peer::Ort, [0.9, 1.0], [1.4, 1.7]),
    ("bert-base", "sorted", Peer::PyTorch, [1.5, 1.7], [2.5, 3.0]),
    ("bert-base", "sorted", Peer::Ort, NONE, [0.85, 1.05]),
];

/// The engines that targets are for.
pub(super) const ENGINES: [&str; 2] = ["mlxq A16", "mlxq A8"];
/// 1 - cosine to float64 of the same weights: must and moonshot of each engine.
const COSINES: [[f64; 2]; 2] = [[1e-6, 5e-7], [1e-3, 5e-4]];
/// Least ratios to PyTorch of every other family, and of texts of 256 tokens, 16-bit activations.
const OTHERS: [(&str, f64); 2] = [("single", 4.0), ("sorted", 1.4)];
const LONG: (&str, f64) = ("long", 1.4);

/// The targets of `series`; `file_bytes` are those of its 8-bit weights.
pub(super) fn of(series: &Series, file_bytes: Option<f64>) -> Vec<Target> {
    let mut targets = Vec::new();
    for (place, engine) in ENGINES.into_iter().enumerate() {
        targets.extend(ratios(series, engine, place));
        targets.extend(cosine(series, engine, COSINES[place]));
    }
    targets.extend(least(series));
    targets.extend(fewer_bits(series));
    targets.extend(memory(series, file_bytes));
    targets
}

fn ratios(series: &Series, engine: &str, place: usize) -> Vec<Target> {
    let own = RATIOS.iter().filter(|ratio| ratio.0 == series.name);
    let target = |(model, workload, peer, a16, a8): &Ratio| {
        let [must, moonshot] = [a16, a8][place].map(|value| Some(value).filter(|v| !v.is_nan()));
        let figure = series.engine(engine).and_then(|engine| series.figure(engine, workload));
        let (name, measured) = match peer {
            Peer::PyTorch => ("PyTorch", figure.and_then(|figure| figure.per_pytorch)),
            Peer::Ort => ("ORT int8", figure.and_then(|figure| figure.per_ort)),
        };
        let what = format!("{model}, {engine}, {workload}, × {name}");
        Target { what, must, moonshot, measured, at_most: false }
    };
    own.map(target).filter(|target| target.must.is_some()).collect()
}

fn cosine(series: &Series, engine: &str, [must, moonshot]: [f64; 2]) -> Option<Target> {
    let measured = series.engine(engine)?.error_same_weights?.one_minus_cosine;
    Some(Target {
        what: format!("{}, {engine}, 1 - cosine to f64 of the same weights", series.name),
        must: Some(must),
        moonshot: Some(moonshot),
        measured: Some(measured),
        at_most: true,
    })
}

/// What holds for every model, or for every other one.
fn least(series: &Series) -> Vec<Target> {
    let named = RATIOS.iter().any(|ratio| ratio.0 == series.name);
    let others = OTHERS.iter().filter(|_| !named).chain([&LONG]);
    let rows = others.filter(|(workload, _)| series.rows.contains_key(*workload));
    let target = |(workload, must): &(&str, f64)| {
        let engine = series.engine(ENGINES[0]);
        let figure = engine.and_then(|engine| series.figure(engine, workload));
        Target {
            what: format!("{}, {}, {workload}, × PyTorch", series.name, ENGINES[0]),
            must: Some(*must),
            moonshot: None,
            measured: figure.and_then(|figure| figure.per_pytorch),
            at_most: false,
        }
    };
    rows.map(target).collect()
}

/// 4 bits against 8: faster for a single token, not slower for 8 and 32.
fn fewer_bits(series: &Series) -> Vec<Target> {
    let workloads = series.rows.keys().filter(|name| name.starts_with("tokens-"));
    let target = |workload: &String| Target {
        what: format!("{}, {workload}, 4 bits × 8 bits", series.name),
        must: Some(1.0),
        moonshot: None,
        measured: series.speedup("mlxq 4 bits", "mlxq 8 bits", workload),
        at_most: false,
    };
    workloads.map(target).collect()
}

/// Resident megabytes of 10^6 bytes: at most 1.3 times the file and 60.
fn memory(series: &Series, file_bytes: Option<f64>) -> Option<Target> {
    let measured = ENGINES.iter().chain(["mlxq f32"].iter()).find_map(|name| series.engine(name));
    let engine = measured?;
    Some(Target {
        what: format!("{}, {}, resident MB", series.name, engine.name),
        must: file_bytes.map(|bytes| 1.3 * bytes * 1e-6 + 60.0),
        moonshot: None,
        measured: engine.resident_bytes.map(|bytes| bytes * 1e-6),
        at_most: true,
    })
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::series;
    use super::*;

    fn verdict(targets: &[Target], what: &str) -> &'static str {
        let found = targets.iter().find(|target| target.what.ends_with(what));
        found.unwrap_or_else(|| panic!("{what} in {targets:?}")).verdict()
    }

    #[test]
    fn each_target_is_judged_by_what_was_measured() {
        // Ours is 4.5 times PyTorch, 2 times ORT, 8e-7 from cosine 1, and takes 80 MB.
        let targets = of(&series(), Some(20e6));
        assert_eq!(verdict(&targets, "A16, single, × PyTorch"), "missed");
        assert_eq!(verdict(&targets, "A16, single, × ORT int8"), "moonshot");
        assert_eq!(verdict(&targets, "A16, 1 - cosine to f64 of the same weights"), "met");
        assert_eq!(verdict(&targets, "A8, single, × PyTorch"), "not measured");
        assert_eq!(verdict(&targets, "A16, stream, × ORT int8"), "not measured");
        assert_eq!(verdict(&targets, "resident MB"), "met");
        assert_eq!(verdict(&of(&series(), Some(10e6)), "resident MB"), "missed");
    }

    #[test]
    fn another_family_has_the_general_targets() {
        let other = Series { name: "mpnet-base".to_owned(), ..series() };
        let targets = of(&other, None);
        assert_eq!(verdict(&targets, "A16, single, × PyTorch"), "met");
        assert!(!targets.iter().any(|target| target.what.contains("ORT")));
    }
}
