//! Two runs over the same rows, with paired statistics.

use std::path::Path;

use mlxq_eval::stats::{Drop, McNemar, paired_difference};

use super::judge::{RESAMPLES, SEED};
use crate::PipelineError;
use crate::record::{
    CellReport, Compared, ComparedCell, ComparedFigure, ComparedFlips, ComparedRun, ComparedSide,
    ComparedSpeed, RunFolder, SCHEMA_VERSION, Sample, SampleId, SideAnswer, figure, right,
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
    let cells = pairs.iter().map(|pair| compare(&runs, *pair)).collect::<Result<_, _>>()?;
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

fn compare(runs: &[RunFolder; 2], pair: [&CellReport; 2]) -> Result<ComparedCell, PipelineError> {
    let rows = |side: usize| runs[side].samples.get(&pair[side].id).map_or(&[][..], Vec::as_slice);
    let samples = [rows(0), rows(1)];
    same_rows(pair, samples)?;
    let figures = pair[0].sides.converted.scores.iter().enumerate();
    let figures = figures.map(|(place, _)| compare_figure(runs, pair, samples, place));
    let flips = right(samples[0], converted).zip(right(samples[1], converted)).map(|(a, b)| {
        let Drop { lost, gained, .. } = Drop::count(&a, &b);
        ComparedFlips { lost, gained, p: McNemar::of(lost, gained).exact }
    });
    Ok(ComparedCell {
        dataset_key: pair[0].dataset_key.clone(),
        rows: samples[0].len(),
        figures: figures.collect::<Result<_, _>>()?,
        mcnemar: flips,
        speed: speed(pair),
        sides: pair.map(side),
    })
}

fn converted(sample: &Sample) -> &SideAnswer {
    &sample.converted
}

/// Refuses cells that are not over the same rows of the same data, with what differs.
fn same_rows(
    [a, b]: [&CellReport; 2],
    [rows_a, rows_b]: [&[Sample]; 2],
) -> Result<(), PipelineError> {
    let key = &a.dataset_key;
    let refuse = |what: String| {
        Err(PipelineError::NotComparable(format!("data set `{key}` differs: {what}")))
    };
    let (data_a, data_b) = (&a.provenance.dataset, &b.provenance.dataset);
    if data_a.blake3 != data_b.blake3 {
        let (a, b) = (&data_a.blake3, &data_b.blake3);
        return refuse(format!("its content has the hash {a} in A and {b} in B"));
    }
    if rows_a.len() != rows_b.len() {
        return refuse(format!("{} rows in A, {} in B", rows_a.len(), rows_b.len()));
    }
    for (place, (a, b)) in rows_a.iter().zip(rows_b).enumerate() {
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

fn compare_figure(
    runs: &[RunFolder; 2],
    pair: [&CellReport; 2],
    samples: [&[Sample]; 2],
    place: usize,
) -> Result<ComparedFigure, PipelineError> {
    let reported = &pair[0].sides.converted.scores[place];
    let metric = reported.metric.as_str();
    let same = pair[1].sides.converted.scores.iter().find(|figure| figure.metric == metric);
    let Some(other) = same else {
        let reason = format!("`{}` has `{metric}` in A and not in B", pair[0].dataset_key);
        return Err(PipelineError::NotComparable(reason));
    };
    let values = [reported.value, other.value];
    let (interval_95, method) = match samples.map(|rows| figure(metric, rows, converted)) {
        [Ok(a), Ok(b)] => {
            let all: Vec<usize> = (0..samples[0].len()).collect();
            for (side, again) in [a(&all), b(&all)].into_iter().enumerate() {
                holds(&runs[side], pair[side], metric, values[side], again)?;
            }
            match (metric, right(samples[0], converted), right(samples[1], converted)) {
                ("accuracy", Some(a), Some(b)) => {
                    let (low, high) = Drop::count(&b, &a).two_sided();
                    (Some([low, high]), "score interval for paired shares (Tango 1998)".to_owned())
                }
                _ => bootstrap(all.len(), |rows| Some(b(rows)? - a(rows)?)),
            }
        }
        [Err(why), _] | [_, Err(why)] => (None, why),
    };
    Ok(ComparedFigure {
        metric: metric.to_owned(),
        title: reported.title.clone(),
        difference: values[1] - values[0],
        values,
        interval_95,
        method,
    })
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

/// The rows must give the figure that the report has: else one of the two files was changed.
fn holds(
    run: &RunFolder,
    cell: &CellReport,
    metric: &str,
    reported: f64,
    again: Option<f64>,
) -> Result<(), PipelineError> {
    if again.is_some_and(|again| (again - reported).abs() <= 1e-9) {
        return Ok(());
    }
    let again = again.map_or("no figure".to_owned(), |again| again.to_string());
    Err(PipelineError::Record {
        path: run.path.clone(),
        line: None,
        reason: format!("cell `{}`: `{metric}` is {reported}, its rows give {again}", cell.id),
    })
}

fn speed([a, b]: [&CellReport; 2]) -> ComparedSpeed {
    let (old, new) = (&a.sides.converted, &b.sides.converted);
    if a.measured_by == b.measured_by && a.key == b.key {
        let note = "both are the same measurement".to_owned();
        return ComparedSpeed { ratio: None, note };
    }
    let ratio = old.qpm.zip(new.qpm).map(|(old, new)| new / old);
    let note = match ratio {
        None => "not measured in both".to_owned(),
        Some(_) if a.provenance.machine_name() != b.provenance.machine_name() => {
            "of different runs on different machines".to_owned()
        }
        Some(_) if old.engine.threads != new.engine.threads => {
            format!(
                "of different runs, with {} and {} threads",
                old.engine.threads, new.engine.threads
            )
        }
        Some(_) => "of different runs: what the machine did beside them is in it".to_owned(),
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
