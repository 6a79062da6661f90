//! The configurations in `examples/`, run as they stand over the developers' data.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::record::{json, list, number, string, whole};
use super::{Setting, percent};
use crate::{model, places};

/// Most rows of a set. With so many STS Benchmark's and Cranfield are whole.
const MAX_SAMPLES: usize = 1500;

/// Figures that sentence-transformers 6.2 gives for all-MiniLM-L6-v2 in float32 (the README of the
/// developers' data): data set, metric, figure, the most that another float32 program may differ.
const REFERENCES: [(&str, &str, f64, f64); 3] = [
    ("stsb", "spearman", 0.867_163_1, 1e-5),
    ("stsb_test", "spearman", 0.820_324_7, 1e-5),
    // Two documents that change places move it by 0.0001 and more.
    ("cranfield", "ndcg_at_10", 0.505_845_7, 5e-4),
];

/// The model that they are of.
const REFERENCE_MODEL: &str = "all-MiniLM-L6-v2";

/// What stands before the table.
const INTRO: &str = "\
## The examples

`mlxq run --config examples/models.yaml --config examples/datasets.yaml --max-samples 1500`: every public data set in
the developers' copies, by the models that can say something about it. *Rows* are those used, of those in the file: a
sample has seed 42 and the labels' shares. The figures are the first that each task or data set is judged by; the
8 bits are in groups of 64, or 32 where the width holds no 64. *Drop* is PyTorch's figure minus that of the converted
model, in points, with its two-sided 95 % interval: Tango's for accuracy, else the paired bootstrap's with 10,000
resamples. *Flips* are rows that went from right to wrong or back, where rows are right or wrong. The *accuracy* gate
asks whether the drop is at most 2 points (1 for all-MiniLM-L6-v2) beyond doubt.

| model | data set | task | rows | figure | PyTorch f32 | mlxq f32 | mlxq 8 bits | drop | flips | accuracy |
|---|---|---|--:|---|--:|--:|--:|--:|--:|---|
";

/// What stands behind it.
const REMARKS: &str = "
- For all-MiniLM-L6-v2 sentence-transformers gives 86.716 on `stsb`, 82.032 on `stsb_test` and an nDCG@10 of 50.58 on
  `cranfield`; `stsb_en` has the pairs of `stsb` in another file.
- *Not measured* stands where PyTorch's model is worse than always giving the most frequent label: nothing to drop from.
  The small models for zero-shot classification were trained on inference alone and know few words.
- `snli` holds rows that its models were trained on (all but the last 1,000), and `sst2_sentences` is the training set
  of its model: high figures there are no merit.
- `stsb_de` and `stsb_zh` are translations; all-MiniLM-L6-v2 has learnt English.
- `minilm-reranker` orders the 20 documents that BM25 finds first, and was trained on some of these queries.
";

/// Runs the examples; the section of the page, and what is wrong with it.
///
/// # Errors
/// When a program fails or a record lacks something.
pub(super) fn run(setting: &Setting) -> Result<(String, Vec<String>)> {
    let configs = configs(setting)?;
    let records = setting.measure("examples", &configs, Some(MAX_SAMPLES))?;
    let report = report(&records)?;
    let cells = list(&report, "/cells")?;
    let cells = cells.iter().map(Cell::read).collect::<Result<Vec<_>>>()?;
    let mut faults = faults(&cells);
    for failed in list(&report, "/failures")? {
        let [model, set, error] =
            ["/model", "/dataset_key", "/error"].map(|key| string(failed, key));
        faults.push(format!("{} on {}: {}", model?, set?, error?));
    }
    Ok((section(&cells), faults))
}

/// Copies of the examples; the paths in them, relative to the copies, lead to the data and the models.
fn configs(setting: &Setting) -> Result<PathBuf> {
    let minilm = places::cache()?.join("models").join(REFERENCE_MODEL);
    model::ensure(&minilm)?;
    link(setting.shared, &setting.work.join("shared"))?;
    link(&minilm, &setting.work.join(REFERENCE_MODEL))?;
    let copies = setting.work.join("checkout/examples");
    std::fs::create_dir_all(&copies)?;
    for name in ["models.yaml", "datasets.yaml"] {
        let original = places::root().join("examples").join(name);
        let text =
            std::fs::read_to_string(&original).with_context(|| original.display().to_string())?;
        // Nothing is fetched from the Hub here: the model comes as a folder.
        let on_hub = format!("hf_name: sentence-transformers/{REFERENCE_MODEL}");
        let here = format!("path: ../../{REFERENCE_MODEL}");
        ensure!(name != "models.yaml" || text.contains(&on_hub), "{name} lacks `{on_hub}`");
        std::fs::write(copies.join(name), text.replace(&on_hub, &here))?;
    }
    Ok(copies)
}

/// A symbolic link at `place`, instead of one that an earlier run has made.
fn link(target: &Path, place: &Path) -> Result<()> {
    if place.is_symlink() {
        std::fs::remove_file(place)?;
    }
    std::fs::create_dir_all(place.parent().context("a link has a folder")?)?;
    std::os::unix::fs::symlink(target, place).with_context(|| place.display().to_string())
}

/// The report of the last run in `records`; runs are named by their time.
fn report(records: &Path) -> Result<Value> {
    let folder = records.join("runs");
    let runs = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let runs = runs.map(|run| Ok(run?.path())).collect::<Result<Vec<_>>>()?;
    json(&runs.into_iter().max().context("the run has no records")?.join("report.json"))
}

/// A model on a data set; figures are shares, not percent.
#[derive(Debug, Clone)]
struct Cell {
    model: String,
    data_set: String,
    task: String,
    rows: u64,
    rows_in_file: u64,
    metric: String,
    /// PyTorch, mlxq in float32, mlxq in 8 bits.
    figures: [f64; 3],
    drop: f64,
    interval: Option<[f64; 2]>,
    flips: Option<u64>,
    verdict: String,
}

impl Cell {
    fn read(cell: &Value) -> Result<Self> {
        let place = "/judgement/torch_to_converted";
        let figure = format!("{place}/figures/0");
        let interval = cell.pointer(&format!("{figure}/two_sided_95"));
        let rows = whole(cell, "/sample_size")?;
        let share = cell.pointer(&format!("{place}/flips/share")).and_then(Value::as_f64);
        let gates = list(cell, "/gates")?;
        let gate = gates.iter().find(|gate| gate["name"] == "accuracy");
        let sides = ["torch", "native_original", "converted"];
        let [torch, original, converted] =
            sides.map(|side| number(cell, &format!("/sides/{side}/scores/0/value")));
        Ok(Self {
            model: string(cell, "/model")?,
            data_set: string(cell, "/dataset_key")?,
            task: string(cell, "/provenance/task")?,
            rows,
            rows_in_file: whole(cell, "/provenance/dataset/rows_in_file")?,
            metric: string(cell, "/provenance/primary_metric")?
                .trim_end_matches("_correlation")
                .to_owned(),
            figures: [torch?, original?, converted?],
            drop: number(cell, &format!("{figure}/drop"))?,
            interval: interval.and_then(|bounds| serde_json::from_value(bounds.clone()).ok()),
            flips: share.map(|share| (share * rows as f64).round() as u64),
            verdict: string(gate.context("no accuracy gate")?, "/verdict")?,
        })
    }

    fn cells(&self) -> [String; 11] {
        let rows = match self.rows == self.rows_in_file {
            true => self.rows.to_string(),
            false => format!("{} of {}", self.rows, self.rows_in_file),
        };
        let [torch, original, converted] = self.figures.map(percent);
        let drop = percent(self.drop);
        [
            format!("`{}`", self.model),
            format!("`{}`", self.data_set),
            self.task.clone(),
            rows,
            self.metric.replace('_', " "),
            torch,
            original,
            converted,
            match self.interval {
                Some([low, high]) => format!("{drop} [{}, {}]", percent(low), percent(high)),
                None => drop,
            },
            self.flips.map(|flips| flips.to_string()).unwrap_or_default(),
            self.verdict.clone(),
        ]
    }
}

/// What is not as sentence-transformers has it, and pairs whose figure depends on their file's form.
fn faults(cells: &[Cell]) -> Vec<String> {
    let of =
        |key: &str| cells.iter().find(|cell| cell.model == REFERENCE_MODEL && cell.data_set == key);
    let mut faults = Vec::new();
    for (key, metric, expected, tolerance) in REFERENCES {
        let Some(cell) = of(key).filter(|cell| cell.metric == metric) else {
            faults.push(format!("{REFERENCE_MODEL} on {key}: {metric} was not measured"));
            continue;
        };
        for (side, figure) in ["PyTorch", "mlxq"].iter().zip(cell.figures) {
            let apart = (figure - expected).abs();
            if apart.is_nan() || apart > tolerance {
                faults.push(format!(
                    "{REFERENCE_MODEL} on {key}: {metric} of {side} is {figure}, \
                     sentence-transformers gives {expected}"
                ));
            }
        }
    }
    let figures = |key| of(key).map(|cell| cell.figures);
    if figures("stsb") != figures("stsb_en") {
        faults.push(format!("{REFERENCE_MODEL}: the same pairs in stsb and stsb_en differ"));
    }
    faults
}

/// The section of the page.
fn section(cells: &[Cell]) -> String {
    let mut text = INTRO.to_owned();
    for cell in cells {
        let _ = writeln!(text, "| {} |", cell.cells().join(" | "));
    }
    text.push_str(REMARKS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(data_set: &str, metric: &str, figures: [f64; 3]) -> Cell {
        Cell {
            model: REFERENCE_MODEL.to_owned(),
            data_set: data_set.to_owned(),
            task: "retrieval".to_owned(),
            rows: 225,
            rows_in_file: 225,
            metric: metric.to_owned(),
            figures,
            drop: 0.001,
            interval: Some([-0.002, 0.004]),
            flips: None,
            verdict: "pass".to_owned(),
        }
    }

    #[test]
    fn figures_are_held_against_the_references() {
        let all = |dev: f64| {
            [
                cell("stsb", "spearman", [dev, dev, 0.0]),
                cell("stsb_en", "spearman", [dev, dev, 0.0]),
                cell("stsb_test", "spearman", [0.820_324, 0.820_325, 0.0]),
                cell("cranfield", "ndcg_at_10", [0.5058, 0.5059, 0.0]),
            ]
        };
        assert_eq!(faults(&all(0.867_163)), [""; 0]);
        assert_eq!(faults(&all(0.8670)).len(), 2, "both sides");
        assert_eq!(faults(&all(f64::NAN)).len(), 3, "NaN is no figure, and not its own equal");
        let dev = &all(0.867_163)[..1];
        assert_eq!(faults(dev).len(), 3, "two sets and the other form are missing");
        let [mut first, rest @ ..] = all(0.867_163);
        first.metric = "pearson".to_owned();
        assert_eq!(faults(&[&[first], &rest[..]].concat()).len(), 1, "another metric");
    }

    #[test]
    fn a_line_says_which_rows_and_how_sure() {
        let mut line = cell("cranfield", "ndcg_at_10", [0.5058, 0.5059, 0.5]);
        assert_eq!(
            line.cells()[3..],
            ["225", "ndcg at 10", "50.58", "50.59", "50.00", "0.10 [−0.20, 0.40]", "", "pass"]
        );
        (line.rows_in_file, line.flips, line.interval) = (1000, Some(3), None);
        let cells = line.cells();
        assert_eq!([&cells[3], &cells[8], &cells[9]], ["225 of 1000", "0.10", "3"]);
    }
}
