//! `mlxq test --fidelity`: how faithfully converted models say what their originals say, on any texts.

use std::borrow::Cow;
use std::fs::File;
use std::path::Path;

use mlxq_engine::native::Activations;
use mlxq_engine::{Engine, EngineInfo, Output, Truncation};
use mlxq_eval::EvalError;
use mlxq_eval::fidelity::{EmbeddingFidelity, LogitFidelity};
use mlxq_eval::gate::{self, Gate, Verdict};
use mlxq_eval::stats::resample;

use super::cell::{PREDICT_BATCH, TIMEOUT, Torch, native, start};
use super::convert::{selected, target_of};
use super::judge::{self, RESAMPLES, SEED};
use super::rows::EncodedRows;
use super::test::{TestSettings, exit_class, find_torch, prepare};
use crate::config::{Config, ModelConfig};
use crate::predict::{PredictError, texts};
use crate::record::{FidelityComparison, FidelityReport, now_utc, write_json};
use crate::report;
use crate::task::Questions;
use crate::{ExitClass, Logged, PipelineError, Reporter};

/// Runs original and converted of every selected model over the lines of `file`, the same that `predict`
/// reads, and records how far their outputs are apart; `show` gets each table. Of `settings` those of
/// data sets and times do not count. One failure does not stop the others.
///
/// # Errors
/// When nothing is selected, the file is no list of texts, or records cannot be written.
pub fn test_fidelity(
    config: &Config,
    settings: &TestSettings,
    file: &Path,
    reporter: &dyn Reporter,
    show: &mut dyn FnMut(&str),
) -> Result<ExitClass, PipelineError> {
    let models = selected(config, settings.model.as_deref())?;
    let lines = read(file, settings.max_samples)?;
    if settings.dry_run {
        for model in models {
            let count = lines.len();
            reporter.message(&format!("would run {} over {count} texts", model.name));
        }
        return Ok(ExitClass::Done);
    }
    let reporter: &dyn Reporter =
        &Logged::open(reporter, &settings.places.log("testing_fidelity"), "MLXFidelity")?;
    let torch = find_torch(settings, reporter);
    let mut class = ExitClass::Done;
    for model in models {
        let run = Run { model, lines: &lines, torch: &torch, settings, reporter };
        let report = match run.report(file) {
            Err(PipelineError::Interrupted) => return Err(PipelineError::Interrupted),
            Err(error) => {
                reporter.warning(&format!("{}: {error}", model.name));
                class = class.and(error.exit_class());
                continue;
            }
            Ok(report) => report,
        };
        let path = settings.places.fidelity(&model.name, report.bits);
        write_json(&path, &report)?;
        for doubt in &report.doubts {
            reporter.warning(&format!("{}: {doubt}", model.name));
        }
        show(&report::fidelity(&report));
        reporter.message(&format!("record: {}", path.display()));
        class = class.and(exit_class(report.verdict.into(), settings.strict));
    }
    Ok(class)
}

/// A text, and the second one where there is one.
type Line = (String, Option<String>);

fn read(file: &Path, most: Option<usize>) -> Result<Vec<Line>, PipelineError> {
    let opened = File::open(file).map_err(PipelineError::io(file))?;
    let path = file.to_owned();
    let mut lines = texts(opened).map_err(|error| match error {
        PredictError::Input { line, reason } => {
            EvalError::Line { path, line: line as u64, reason }.into()
        }
        PredictError::Io(source) => PipelineError::Io { path, source },
        other => PipelineError::Measure(other.to_string()),
    })?;
    lines.truncate(most.unwrap_or(usize::MAX));
    if lines.is_empty() {
        let reason = "has no text".to_owned();
        return Err(EvalError::File { path: file.to_owned(), reason }.into());
    }
    Ok(lines)
}

/// One model over the texts.
struct Run<'r> {
    model: &'r ModelConfig,
    lines: &'r [Line],
    torch: &'r Torch,
    settings: &'r TestSettings,
    reporter: &'r dyn Reporter,
}

impl Run<'_> {
    fn report(&self, file: &Path) -> Result<FidelityReport, PipelineError> {
        let source = prepare(self.model, self.settings, self.reporter)?;
        self.reporter.message(&format!("{} over {} texts", self.model.name, self.lines.len()));
        let rows = self
            .lines
            .iter()
            .map(|(text, pair)| (Cow::Borrowed(text.as_str()), pair.as_deref().map(Cow::Borrowed)));
        let truncation = Truncation::LongestFirst;
        let questions =
            Questions { rows_per_query: 1, rows: rows.collect(), extra: Vec::new(), truncation };
        let rows = EncodedRows::encode(&questions, &source, None)?;
        let sides = self.sides(&source, &rows)?;
        let judged = judge(&sides, self.model);
        let verdicts = judged.gates.iter().map(|gate| gate.verdict);
        let verdict =
            if judged.gates.is_empty() { Verdict::NotSet } else { Verdict::of_all(verdicts) };
        Ok(FidelityReport {
            schema_version: 1,
            model: self.model.name.clone(),
            bits: self.model.recipe.format.bits(),
            texts: file.to_owned(),
            texts_sha256: mlxq_hub::hash_file(file)?,
            rows: self.lines.len(),
            truncated: rows.truncated,
            max_length: rows.max_length.tokens,
            max_length_decided_by: rows.max_length.decided_by.clone(),
            source_fingerprint: mlxq_hub::fingerprint(&source)?.blake3,
            torch_missing: self.torch.as_ref().err().cloned(),
            engines: sides.into_iter().map(|side| side.info).collect(),
            comparisons: judged.comparisons,
            doubts: judged.doubts,
            gates: judged.gates.iter().map(Into::into).collect(),
            verdict: verdict.into(),
            measured: now_utc(),
        })
    }

    /// What PyTorch, if it is there, the original and the converted model answer, one after the other, so
    /// that only one of them takes memory.
    fn sides(&self, source: &Path, rows: &EncodedRows) -> Result<Vec<Side>, PipelineError> {
        let target = target_of(self.model, &self.settings.output_dir);
        let (bits, settings) = (self.model.recipe.format.bits(), self.settings);
        let mut commands = Vec::new();
        if let Ok(torch) = self.torch {
            commands.push(("PyTorch f32".to_owned(), torch.command(TIMEOUT), source));
        }
        let original = native(settings, Activations::Float32);
        commands.push(("mlxq f32".to_owned(), original, source));
        let converted = native(settings, settings.activations);
        commands.push((format!("mlxq {bits}-bit"), converted, target.as_path()));
        let mut sides = Vec::new();
        for (name, command, folder) in commands {
            let mut worker = start(command, folder, rows, settings, self.reporter)?;
            let output = worker.predict_rows(PREDICT_BATCH)?;
            sides.push(Side { name, info: worker.info().clone(), output });
            if self.reporter.interrupted() {
                return Err(PipelineError::Interrupted);
            }
        }
        Ok(sides)
    }
}

struct Side {
    name: String,
    info: EngineInfo,
    output: Output,
}

struct Judged {
    comparisons: Vec<FidelityComparison>,
    doubts: Vec<String>,
    gates: Vec<Gate>,
}

/// Compares each side with the next, and the first with the last, by which the gates judge.
fn judge(sides: &[Side], model: &ModelConfig) -> Judged {
    let last = sides.len() - 1;
    let mut comparisons: Vec<_> =
        (1..last).map(|to| compare(&sides[to - 1], &sides[to]).0).collect();
    if last > 1 {
        comparisons.push(compare(&sides[last - 1], &sides[last]).0);
    }
    let (comparison, logits, embeddings) = compare(&sides[0], &sides[last]);
    comparisons.push(comparison);
    let none = "the model gives no logits of several classes";
    let agreed = logits.as_ref().map(|found| (found.agreed, found.rows())).ok_or(none);
    let kl = logits.as_ref().map(|found| found.kl.as_slice()).ok_or(none);
    let gates =
        [gate::agreement(agreed, model.gates.min_agreement), gate::kl(kl, model.gates.max_kl)];
    let doubts = logits.iter().flat_map(LogitFidelity::doubts);
    let doubts = doubts.chain(embeddings.iter().flat_map(EmbeddingFidelity::doubts)).collect();
    let asked = gates.into_iter().filter(|gate| gate.verdict != Verdict::NotSet);
    Judged { comparisons, doubts, gates: asked.collect() }
}

fn compare(
    from: &Side,
    to: &Side,
) -> (FidelityComparison, Option<LogitFidelity>, Option<EmbeddingFidelity>) {
    let outputs = [&from.output, &to.output];
    let logits = judge::logits(&from.info, outputs);
    let embeddings = judge::embeddings(&from.info, outputs, false);
    let rows = logits.as_ref().map(|found| found.kl.as_slice());
    let rows = rows.or(embeddings.as_ref().map(|found| found.cosines.as_slice()));
    let comparison = FidelityComparison {
        title: format!("{} → {}", from.name, to.name),
        fidelity: judge::fidelity_of(logits.as_ref(), embeddings.as_ref(), outputs),
        mean_interval_95: rows.and_then(mean_interval),
    };
    (comparison, logits, embeddings)
}

fn mean_interval(rows: &[f64]) -> Option<[f64; 2]> {
    let mean = |sample: &[usize]| {
        Some(sample.iter().map(|row| rows[*row]).sum::<f64>() / sample.len() as f64)
    };
    let drawn = resample(rows.len(), RESAMPLES, SEED, mean).ok()?;
    drawn.mean.is_finite().then(|| drawn.two_sided.into())
}
