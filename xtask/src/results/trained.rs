//! The developers' trained models on the dev sets that they come with, against the figures that were recorded
//! when they were trained.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::record::{json, number, string, whole};
use super::{Setting, percent};
use crate::places;
use crate::process::{command, run as run_command};

/// What stands before the table.
const INTRO: &str = "\
## Trained models on their dev sets

The dev sets of the developers' small models become files of one kind (`peers/shared_models.py`), and one `mlxq run`
converts each model with 8 bits in groups of 32 and measures it on its whole dev set.

| model | model type | dev set | rows | figure | recorded | PyTorch f32 | mlxq f32 | mlxq 8 bits | rows off | bits a weight |
|---|---|---|--:|---|--:|--:|--:|--:|--:|--:|
";

/// What stands behind it.
const REMARKS: &str = "
*Rows off* counts how many more rows (or, with −, fewer) mlxq in float32 has right than were recorded. *Bits a weight*
is the converted folder's, of all weights: 9 where a weight has 8 bits and its share of a scale and a bias of 16 bits
for every 32, 16 where it stays in float.

- The models have about a million parameters. Their figures say what so small a model learns; what matters is that
  every program computes the same from it.
- Hidden sizes of 96 hold no group of 64, so the groups have 32 in all models, not the 64 of the default.
- The 120 columns of `bert-nli` hold no group of 32 either: only the layers of 480 columns are quantized, the rest
  stays in float16, and its figure says little about 8 bits.
- `xlm-roberta-stsb` (a correlation of 0.13), `minilm-reranker` (as many relevant rows would be found by chance) and
  `bart-nli` (the largest class is 34.1 % of its rows) are near chance: they show that programs agree, and cannot show
  a drop.
- `deberta-v3-nli-binary` has two classes and its data three: neutral and contradiction count as not_entailment.
- `mobilebert-trec` is computed by PyTorch without padding: its tokens read the embeddings of their neighbours, and
  padding would be read too.
";

/// The most that a figure other than accuracy may differ from the recorded one.
const TOLERANCE: f64 = 1e-3;

/// Runs all models; the section of the page, and what is wrong with it.
///
/// # Errors
/// When a program fails or a record lacks something.
pub(super) fn run(setting: &Setting) -> Result<(String, Vec<String>)> {
    let data = setting.work.join("data");
    let script = places::root().join("peers/shared_models.py");
    run_command(
        command(setting.python, [script.as_path(), setting.shared, &data])
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    let records = setting.measure("trained", &data, None)?.join("comparisons");
    let lines = places::shared_models()
        .iter()
        .map(|name| Line::read(setting.shared, &records, name).with_context(|| name.clone()))
        .collect::<Result<Vec<_>>>()?;
    Ok((section(&lines), lines.iter().flat_map(Line::faults).collect()))
}

/// A model's line of the table; figures are shares, not percent.
#[derive(Debug, Clone)]
struct Line {
    model: String,
    model_type: String,
    data_set: String,
    rows: u64,
    metric: String,
    recorded: f64,
    torch: f64,
    original: f64,
    converted: f64,
    bits_per_weight: f64,
}

impl Line {
    /// From the model's folder, the record of its run and that of its conversion.
    fn read(shared: &Path, records: &Path, model: &str) -> Result<Self> {
        let folder = shared.join("models").join(model);
        let training = json(&folder.join("TRAINING.json"))?;
        let record = json(&records.join(format!("{model}_q8_{model}_comparison.json")))?;
        let converted = PathBuf::from(string(&record, "/converted/path")?);
        let conversion = json(&converted.join("conversion_metadata.json"))?;
        let metric =
            string(&record, "/primary_metric")?.trim_end_matches("_correlation").to_owned();
        let named = string(&training, "/dev/metric")?;
        if !named.starts_with(&metric) {
            bail!("the recorded figure is `{named}`, the measured one {metric}");
        }
        let rows = whole(&record, "/mlx_8bit/sample_size")?;
        let recorded_rows = whole(&training, "/dev/rows")?;
        if rows != recorded_rows {
            bail!("{rows} rows are measured, {recorded_rows} are recorded");
        }
        Ok(Self {
            model: model.to_owned(),
            model_type: string(&json(&folder.join("config.json"))?, "/model_type")?,
            data_set: string(&training, "/dev/file")?,
            rows,
            metric,
            recorded: number(&training, "/dev/value")?,
            torch: number(&record, "/pytorch_baseline/accuracy")?,
            original: number(&record, "/native_original/accuracy")?,
            converted: number(&record, "/mlx_8bit/accuracy")?,
            bits_per_weight: number(&conversion, "/quantization/bits_per_weight")?,
        })
    }

    /// By how many rows more the share `figure` of the rows is than `other`.
    fn rows_apart(&self, figure: f64, other: f64) -> f64 {
        (figure * self.rows as f64).round() - (other * self.rows as f64).round()
    }

    /// Whether two figures of float32 programs are the same as far as that can be asked.
    fn same(&self, figure: f64, other: f64) -> bool {
        if self.metric == "accuracy" {
            return self.rows_apart(figure, other).abs() <= 1.0;
        }
        (figure - other).abs() <= TOLERANCE
    }

    /// Which float32 figures are not the recorded one.
    fn faults(&self) -> Vec<String> {
        let sides = [("PyTorch", self.torch), ("mlxq", self.original)];
        let wrong = sides.iter().filter(|(_, figure)| !self.same(*figure, self.recorded));
        let (model, metric, recorded) = (&self.model, &self.metric, self.recorded);
        wrong
            .map(|(side, figure)| {
                format!("{model}: {metric} of {side} is {figure}, recorded is {recorded}")
            })
            .collect()
    }

    fn cells(&self) -> [String; 11] {
        let off = match self.metric == "accuracy" {
            true => format!("{:+}", self.rows_apart(self.original, self.recorded)),
            false => String::new(),
        };
        [
            format!("`{}`", self.model),
            self.model_type.clone(),
            format!("`{}`", self.data_set),
            self.rows.to_string(),
            self.metric.replace('_', " "),
            percent(self.recorded),
            percent(self.torch),
            percent(self.original),
            percent(self.converted),
            off.replace('-', "−").replace("+0", "0").replace("−0", "0"),
            format!("{:.2}", self.bits_per_weight),
        ]
    }
}

/// The section of the page.
fn section(lines: &[Line]) -> String {
    let mut text = INTRO.to_owned();
    for line in lines {
        let _ = writeln!(text, "| {} |", line.cells().join(" | "));
    }
    text.push_str(REMARKS);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(metric: &str, recorded: f64, torch: f64, original: f64) -> Line {
        Line {
            model: "m".to_owned(),
            model_type: "bert".to_owned(),
            data_set: "d".to_owned(),
            rows: 1000,
            metric: metric.to_owned(),
            recorded,
            torch,
            original,
            converted: 0.0,
            bits_per_weight: 9.0,
        }
    }

    #[test]
    fn accuracy_may_be_one_row_off_and_others_a_thousandth() {
        assert!(line("accuracy", 0.615, 0.616, 0.614).faults().is_empty());
        assert_eq!(line("accuracy", 0.615, 0.615, 0.617).faults().len(), 1);
        assert_eq!(line("accuracy", 0.615, 0.613, 0.617).faults().len(), 2);
        assert!(line("pearson", 0.5, 0.5009, 0.4991).faults().is_empty());
        assert_eq!(line("pearson", 0.5, 0.5, 0.4989).faults().len(), 1);
        assert_eq!(line("pearson", 0.5, 0.5, f64::NAN).faults().len(), 1);
    }

    #[test]
    fn a_line_says_how_many_rows_are_off() {
        let off = |original| line("accuracy", 0.615, 0.615, original).cells()[9].clone();
        assert_eq!([off(0.614), off(0.615), off(0.616)], ["−1", "0", "+1"]);
        assert_eq!(line("pearson", 0.5, 0.5, 0.5).cells()[9], "");
    }
}
