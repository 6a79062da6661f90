//! Two runs over the same rows, with paired statistics.

use std::path::Path;

use mlxq_eval::metric::Metric;
use mlxq_eval::stats::{Drop, McNemar, paired_difference};

use super::judge::{RESAMPLES, SEED};
use crate::PipelineError;
use crate::record::{
    CellReport, Compared, ComparedCell, ComparedFigure, ComparedFlips, ComparedRun, ComparedSide,
    ComparedSpeed, Figure, Rows, RunFolder, SCHEMA_VERSION, SampleId,
};

/// Reads the runs in the folders or reports `a` and `b` and compares the converted models of each data
/// set that both have measured.
///
/// # Errors
/// When a run cannot be read, they have no cell in common, the rows of one are not the same, or the rows
/// do not give the figures that stand in the report.
pub fn compare_runs(a: &Path, b: &Path) -> Result<Compared, PipelineError> {
    let runs = [RunFolder::read(a)?, RunFolder::read(b)?];
    let pairs = pairs(&runs);
    if pairs.is_empty() {
        let [a, b] = runs.each_ref().map(|run| {
            let ids: Vec<_> = run.report.cells.iter().map(|cell| cell.id.as_str()).collect();
            if ids.is_empty() { "no finished cell".to_owned() } else { ids.join(", ") }
        });
        let reason = format!("they have no cell in common; A has {a}; B has {b}");
        return Err(PipelineError::NotComparable(reason));
    }
    let cells = pairs.iter().map(|[a, b]| {
        compare(
            [answers(&runs[0], a), answers(&runs[1], b)],
            &runs.each_ref().map(|run| &*run.path),
        )
    });
    let cells = cells.collect::<Result<_, _>>()?;
    let only = |side: usize| {
        let paired: Vec<_> = pairs.iter().map(|pair| &pair[side].id).collect();
        let ids = runs[side].report.cells.iter().map(|cell| &cell.id);
        ids.filter(|id| !paired.contains(id)).cloned().collect()
    };
    Ok(Compared {
        schema_version: SCHEMA_VERSION,
        only_in: [only(0), only(1)],
        cells,
        runs: runs.each_ref().map(|run| ComparedRun {
            path: run.path.clone(),
            run_id: run.report.run_id.clone(),
            started: run.report.started.clone(),
            version: run.report.program.version.clone(),
        }),
    })
}

/// The cells that belong together: those with one id, and of a data set that each run has once the only
/// ones.
fn pairs(runs: &[RunFolder; 2]) -> Vec<[&CellReport; 2]> {
    let [a, b] = runs.each_ref().map(|run| &run.report.cells);
    let only = |cells: &'_ [CellReport], key: &str| {
        cells.iter().filter(|cell| cell.dataset_key == key).count() == 1
    };
    let partner = |cell: &CellReport| {
        let key = &cell.dataset_key;
        let alone = || only(a, key) && only(b, key);
        let same = b.iter().find(|other| other.id == cell.id);
        same.or_else(|| b.iter().find(|other| other.dataset_key == *key && alone()))
    };
    a.iter().filter_map(|cell| Some([cell, partner(cell)?])).collect()
}

/// What the converted model of a cell answered.
fn answers<'a>(run: &'a RunFolder, cell: &'a CellReport) -> Rows<'a> {
    let samples = run.samples.get(&cell.id).map_or(&[][..], Vec::as_slice);
    Rows { cell, samples, side: |sample| &sample.converted }
}

/// Both sides of a cell, whose reports lie at `paths`.
fn compare(sides: [Rows; 2], paths: &[&Path; 2]) -> Result<ComparedCell, PipelineError> {
    let cells = sides.map(|side| side.cell);
    same_rows(sides)?;
    for (side, path) in sides.iter().zip(paths) {
        holds(side, path)?;
    }
    let scores = cells[0].sides.converted.scores.iter();
    let figures = scores.map(|reported| compare_figure(sides, reported));
    let flips = sides[0].right().zip(sides[1].right()).map(|(a, b)| {
        let Drop { lost, gained, .. } = Drop::count(&a, &b);
        ComparedFlips { lost, gained, p: McNemar::of(lost, gained).exact }
    });
    Ok(ComparedCell {
        dataset_key: cells[0].dataset_key.clone(),
        rows: sides[0].samples.len(),
        figures: figures.collect::<Result<_, _>>()?,
        mcnemar: flips,
        speed: speed(cells),
        sides: cells.map(side),
    })
}

/// Refuses cells that are not over the same rows of the same data, with what differs.
fn same_rows([a, b]: [Rows; 2]) -> Result<(), PipelineError> {
    let key = &a.cell.dataset_key;
    let refuse = |what: String| {
        Err(PipelineError::NotComparable(format!("data set `{key}` differs: {what}")))
    };
    let (data_a, data_b) = (&a.cell.provenance.dataset, &b.cell.provenance.dataset);
    if data_a.blake3 != data_b.blake3 {
        let (a, b) = (&data_a.blake3, &data_b.blake3);
        return refuse(format!("its content has the hash {a} in A and {b} in B"));
    }
    let (in_a, in_b) = (a.samples.len(), b.samples.len());
    if in_a != in_b {
        return refuse(format!("{in_a} rows in A, {in_b} in B"));
    }
    for (place, (a, b)) in a.samples.iter().zip(b.samples).enumerate() {
        let place = place + 1;
        if a.id != b.id {
            let [a, b] = [&a.id, &b.id].map(shown_id);
            return refuse(format!("sample {place} is row {a} in A and row {b} in B"));
        }
        if a.gold != b.gold {
            let row = shown_id(&a.id);
            return refuse(format!("row {row} should be {} in A and {} in B", a.gold, b.gold));
        }
    }
    Ok(())
}

fn shown_id(id: &SampleId) -> String {
    match id {
        SampleId::Row(row) => row.to_string(),
        SampleId::Name(name) => format!("`{name}`"),
    }
}

fn compare_figure(sides: [Rows; 2], reported: &Figure) -> Result<ComparedFigure, PipelineError> {
    let metric = reported.metric.as_str();
    let others = &sides[1].cell.sides.converted.scores;
    let Some(other) = others.iter().find(|figure| figure.metric == metric) else {
        let key = &sides[0].cell.dataset_key;
        let reason = format!("data set `{key}` differs: A has `{metric}`, B has not");
        return Err(PipelineError::NotComparable(reason));
    };
    let (interval_95, method) = interval(sides, metric);
    Ok(ComparedFigure {
        metric: metric.to_owned(),
        title: reported.title.clone(),
        difference: other.value - reported.value,
        values: [reported.value, other.value],
        interval_95,
        method,
    })
}

/// The two-sided 95 % interval of B minus A, and how it was found or why there is none.
fn interval(sides: [Rows; 2], metric: &str) -> (Option<[f64; 2]>, String) {
    let share = [Metric::Accuracy, Metric::SimilarityAccuracy].map(Metric::name).contains(&metric);
    if let (true, Some(a), Some(b)) = (share, sides[0].right(), sides[1].right()) {
        let (low, high) = Drop::count(&b, &a).two_sided();
        return (Some([low, high]), "score interval for paired shares (Tango 1998)".to_owned());
    }
    match sides.map(|side| side.figure(metric)) {
        [Ok(a), Ok(b)] => bootstrap(sides[0].samples.len(), |rows| Some(b(rows)? - a(rows)?)),
        [Err(why), _] | [_, Err(why)] => (None, why),
    }
}

fn bootstrap(
    rows: usize,
    difference: impl Fn(&[usize]) -> Option<f64>,
) -> (Option<[f64; 2]>, String) {
    match paired_difference(rows, RESAMPLES, SEED, difference) {
        Some(found) => {
            let (low, high) = found.two_sided;
            let method = format!("paired bootstrap, {} resamples, seed {SEED}", found.resamples);
            (Some([low, high]), method)
        }
        None => (None, "undefined on too many resamples".to_owned()),
    }
}

/// The rows must give the figures that the report has: else one of the two files was changed.
fn holds(side: &Rows, report: &Path) -> Result<(), PipelineError> {
    let all: Vec<usize> = (0..side.samples.len()).collect();
    for Figure { metric, value, .. } in &side.cell.sides.converted.scores {
        let again = side.figure(metric).map(|figure| figure(&all));
        let again = match again {
            Ok(Some(again)) if (again - value).abs() <= 1e-9 => continue,
            Ok(Some(again)) => format!("its rows give {again}"),
            Ok(None) => "its rows give none".to_owned(),
            Err(why) => why,
        };
        return Err(PipelineError::Record {
            path: report.to_owned(),
            line: None,
            reason: format!("cell `{}`: `{metric}` is {value}; {again}", side.cell.id),
        });
    }
    Ok(())
}

fn speed([a, b]: [&CellReport; 2]) -> ComparedSpeed {
    let (old, new) = (&a.sides.converted, &b.sides.converted);
    if a.measured_by == b.measured_by && a.key == b.key {
        let note = "both are the same measurement".to_owned();
        return ComparedSpeed { ratio: None, note };
    }
    let protocols = [a, b].map(|cell| cell.provenance.protocol.words());
    if protocols[0] != protocols[1] {
        let note = format!("of two scenarios: {} and {}", protocols[0], protocols[1]);
        return ComparedSpeed { ratio: None, note };
    }
    for (name, cell) in [("A", a), ("B", b)] {
        if !cell.provenance.timing_checks.valid {
            let why = cell.provenance.timing_checks.invalid.join("; ");
            let note = format!("the times of {name} are not valid: {why}");
            return ComparedSpeed { ratio: None, note };
        }
    }
    let ratio = old.qpm.zip(new.qpm).map(|(old, new)| new / old);
    let (threads, machines) = (
        [old.engine.threads, new.engine.threads],
        [a, b].map(|cell| cell.provenance.machine_name()),
    );
    let note = if ratio.is_none() {
        "not measured in both".to_owned()
    } else if machines[0] != machines[1] {
        "of different runs on different machines".to_owned()
    } else if threads[0] != threads[1] {
        format!("of different runs, with {} and {} threads", threads[0], threads[1])
    } else {
        "of different runs: what the machine did beside them is in it".to_owned()
    };
    ComparedSpeed { ratio, note }
}

fn side(cell: &CellReport) -> ComparedSide {
    let converted = &cell.sides.converted;
    ComparedSide {
        cell: cell.id.clone(),
        model: cell.model.clone(),
        bits: cell.quantization.bits,
        measured: cell.measured.clone(),
        verdict: cell.verdict,
        qpm: converted.qpm,
        latency_p50_ms: converted.latency_p50_ms,
        latency_p99_ms: converted.latency_p99_ms,
        size_mb: converted.size_mb,
        memory_avg_mb: converted.memory_avg_mb,
        memory_peak_mb: converted.memory_peak_mb,
    }
}
