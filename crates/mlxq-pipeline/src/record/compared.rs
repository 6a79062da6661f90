//! What `mlxq compare` found: two runs side by side.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Serialize;

use super::cell::Outcome;

/// Two runs, cell by cell. Differences and ratios are of B against A.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Compared {
    /// The version of this form.
    pub(crate) schema_version: u32,
    /// The two runs, A and B.
    pub(crate) runs: [ComparedRun; 2],
    /// The cells that both runs have.
    pub(crate) cells: Vec<ComparedCell>,
    /// The ids of the cells that only A has, and that only B has.
    pub(crate) only_in: [Vec<String>; 2],
}

/// A run that is compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ComparedRun {
    /// Its report.
    pub(crate) path: PathBuf,
    /// Its id.
    pub(crate) run_id: String,
    /// When it began.
    pub(crate) started: String,
    /// The version of the program.
    pub(crate) version: String,
}

/// The same rows answered by the converted models of both runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ComparedCell {
    /// The data set's key.
    pub(crate) dataset_key: String,
    /// Rows.
    pub(crate) rows: usize,
    /// The converted model of A and of B.
    pub(crate) sides: [ComparedSide; 2],
    /// The task's figures, the primary one first.
    pub(crate) figures: Vec<ComparedFigure>,
    /// McNemar's exact test; `null` where answers are not right or wrong.
    pub(crate) mcnemar: Option<ComparedFlips>,
    /// B's queries per minute by A's.
    pub(crate) speed: ComparedSpeed,
}

/// One side of a compared cell.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ComparedSide {
    /// The cell's id.
    pub(crate) cell: String,
    /// The model's name.
    pub(crate) model: String,
    /// Bits per weight.
    pub(crate) bits: u32,
    /// When it was measured.
    pub(crate) measured: String,
    /// Its verdict.
    pub(crate) verdict: Outcome,
    /// Queries per minute.
    pub(crate) qpm: Option<f64>,
    /// Median latency, ms.
    pub(crate) latency_p50_ms: Option<f64>,
    /// 99 % quantile of the latency, ms.
    pub(crate) latency_p99_ms: Option<f64>,
    /// MiB of the folder.
    pub(crate) size_mb: f64,
    /// Mean memory, MiB.
    pub(crate) memory_avg_mb: Option<f64>,
    /// Peak of the memory, MiB.
    pub(crate) memory_peak_mb: Option<f64>,
}

/// One figure of both sides.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ComparedFigure {
    /// The metric's name.
    pub(crate) metric: String,
    /// Its name for people.
    pub(crate) title: String,
    /// The figure of A and of B.
    pub(crate) values: [f64; 2],
    /// B minus A.
    pub(crate) difference: f64,
    /// Its two-sided 95 % interval.
    pub(crate) interval_95: Option<[f64; 2]>,
    /// How the interval was found, or why there is none.
    pub(crate) method: String,
}

/// Rows that are right in one run only.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ComparedFlips {
    /// Right in A, wrong in B.
    pub(crate) lost: usize,
    /// Wrong in A, right in B.
    pub(crate) gained: usize,
    /// Exact two-sided p of "both are right equally often".
    pub(crate) p: f64,
}

/// The speed of two runs, which were measured at different times and perhaps on different machines.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct ComparedSpeed {
    /// B's queries per minute by A's; `null` where one has no valid times.
    pub(crate) ratio: Option<f64>,
    /// What the ratio is worth, or why there is none.
    pub(crate) note: String,
}
