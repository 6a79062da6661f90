//! The developers' trained models on their dev sets, by `mlxq run`: the table of `docs/results.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{command, run as run_command, say, status};
use crate::{peers, places, quickstart};

/// What stands before the table.
const INTRO: &str = "\
# Results of the trained models

Made by `cargo xtask results`; do not edit. It writes the dev sets of the developers' small models as files of one kind
(`peers/shared_models.py`), gives them all to one `mlxq run` with 8 bits in groups of 32 and the peers' PyTorch, and
writes this page from the records of that run. It fails where a float32 figure is not the one that was recorded with
transformers when the model was trained: by more than one row for accuracy, by more than 0.001 for the others.

The figures are those of whole dev sets, times 100. They do not depend on a machine's speed; on one with other
instructions a row at a tie may fall to the other side.
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

/// Runs all models and writes the page; a model whose figure is not the recorded one is a failure.
///
/// # Errors
/// When a program fails or a record lacks something.
pub(crate) fn run() -> Result<ExitCode> {
    let Some(shared) = places::shared() else {
        say("the developers' models are not here (MLXQ_SHARED): nothing is measured");
        return Ok(ExitCode::SUCCESS);
    };
    let records = measure(&shared)?;
    let lines = names(&shared)?
        .iter()
        .map(|name| Line::read(&shared, &records, name).with_context(|| name.clone()))
        .collect::<Result<Vec<_>>>()?;
    let page = places::root().join("docs/results.md");
    std::fs::write(&page, text(&lines)).with_context(|| page.display().to_string())?;
    say(&format!("written: {}", page.display()));
    let faults: Vec<_> = lines.iter().flat_map(Line::faults).collect();
    faults.iter().for_each(|fault| say(&format!("error: {fault}")));
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs `mlxq run` over all models; the folder of its records.
fn measure(shared: &Path) -> Result<PathBuf> {
    let work = places::target().join("results");
    let (data, records) = (work.join("data"), work.join("mlx_conversion"));
    if records.exists() {
        std::fs::remove_dir_all(&records)?; // so that no earlier record is read
    }
    let script = places::root().join("peers/shared_models.py");
    let python = peers::python()?;
    run_command(
        command(&python, [script.as_path(), shared, &data]).env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    let mut command = command(quickstart::release_build()?, ["run", "--quiet"]);
    for file in ["models.yaml", "datasets.yaml"] {
        command.arg("--config").arg(data.join(file));
    }
    // Speed is not the point: the shortest blocks there are.
    command
        .args(["--block-pairs", "5", "--block-seconds", "0.01"])
        .arg("--output-dir")
        .arg(work.join("converted"))
        .arg("--python")
        .arg(python)
        .env("MLX_TEMP_DIR", &work);
    let code = status(&mut command)?;
    // 4: speed is left open by such short blocks.
    ensure!(matches!(code.code(), Some(0 | 4)), "the run ended with {code}");
    Ok(records.join("comparisons"))
}

/// The models that come with a recorded figure.
fn names(shared: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(shared.join("models"))? {
        let entry = entry?;
        if entry.path().join("TRAINING.json").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    ensure!(!names.is_empty(), "{} has no models", shared.display());
    Ok(names)
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
        let percent = |figure: f64| format!("{:.2}", figure * 100.0);
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

/// The page.
fn text(lines: &[Line]) -> String {
    let mut page = format!(
        "{INTRO}\n| model | model type | dev set | rows | figure | recorded | PyTorch f32 | mlxq f32 | \
         mlxq 8 bits | rows off | bits a weight |\n|---|---|---|--:|---|--:|--:|--:|--:|--:|--:|\n"
    );
    for line in lines {
        let _ = writeln!(page, "| {} |", line.cells().join(" | "));
    }
    page.push_str(REMARKS);
    page
}

fn json(path: &Path) -> Result<Value> {
    let place = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(place)?;
    serde_json::from_str(&text).with_context(place)
}

fn string(value: &Value, pointer: &str) -> Result<String> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    Ok(found.with_context(|| format!("no text at {pointer}"))?.to_owned())
}

fn number(value: &Value, pointer: &str) -> Result<f64> {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .with_context(|| format!("no number at {pointer}"))
}

fn whole(value: &Value, pointer: &str) -> Result<u64> {
    value.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no count at {pointer}"))
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
