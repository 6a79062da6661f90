//! `mlxq predict`: texts in, vectors out.

use std::fs::File;
use std::io::{BufWriter, Read, stdin, stdout};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use mlxq_engine::native::{NativeEngine, NativeOptions};
use mlxq_engine::{EngineError, Tokenizer, Truncation};
use mlxq_pipeline::predict::{Candidates, PredictError, Predictor, Question};
use mlxq_pipeline::{ExitClass, Reporter};
use tempfile::NamedTempFile;

use crate::args::{CandidateArguments, PredictArguments};
use crate::command::threads;
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command.
pub(crate) fn run(arguments: &PredictArguments, printer: &Printer) -> Done {
    predict_lines(arguments, printer).map_err(|error| {
        let usage = error.downcast_ref::<PredictError>().map(PredictError::exit_class);
        if usage == Some(ExitClass::Usage) { Failure::usage(error) } else { Failure::input(error) }
    })
}

fn predict_lines(arguments: &PredictArguments, printer: &Printer) -> anyhow::Result<ExitClass> {
    // What can be refused without the model is refused before it is loaded.
    let candidates = candidates(&arguments.candidates)?;
    let input = open(&arguments.input)?;
    let options =
        NativeOptions { threads: threads(arguments.threads), activations: arguments.activations };
    let (engine, tokenizer) = open_model(arguments, options);
    let (mut engine, mut tokenizer) = (engine?, tokenizer?);
    if candidates.is_some() {
        tokenizer = tokenizer.cutting(Truncation::OnlyFirst);
    }
    let question = question(arguments, candidates, &engine, &tokenizer, printer)?;
    let longest = tokenizer.max_length().clone();
    if arguments.max_length.is_some_and(|asked| asked > longest.tokens) {
        printer
            .warning(&format!("rows are cut to {} tokens: {}", longest.tokens, longest.decided_by));
    }
    let mut predictor = Predictor {
        engine: &mut engine,
        tokenizer: Arc::new(tokenizer),
        question: Arc::new(question),
        batch_size: arguments.batch_size,
    };
    let run = |output: &mut dyn std::io::Write| predictor.run(input, output, printer);
    let done = if is_dash(&arguments.output) {
        run(&mut BufWriter::new(stdout().lock()))?
    } else {
        // A file appears only when it is complete.
        let staged = staged(&arguments.output)?;
        let done = run(&mut BufWriter::new(staged.as_file()))?;
        staged
            .persist(&arguments.output)
            .map_err(|error| error.error)
            .with_context(|| shown(&arguments.output))?;
        done
    };
    if done.truncated > 0 {
        printer.warning(&format!(
            "{} of {} rows were cut to {} tokens ({})",
            done.truncated, done.rows, longest.tokens, longest.decided_by
        ));
    }
    Ok(ExitClass::Done)
}

/// The engine and the tokenizer, opened at the same time.
fn open_model(
    arguments: &PredictArguments,
    options: NativeOptions,
) -> (Result<NativeEngine, EngineError>, Result<Tokenizer, EngineError>) {
    std::thread::scope(|scope| {
        let tokenizer = scope.spawn(|| Tokenizer::open(&arguments.model, arguments.max_length));
        let engine = NativeEngine::open(&arguments.model, options);
        let tokenizer = tokenizer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (engine, tokenizer)
    })
}

/// The candidate labels that were typed.
fn candidates(arguments: &CandidateArguments) -> Result<Option<Candidates>, PredictError> {
    let Some(labels) = &arguments.candidate_labels else {
        return Ok(None);
    };
    let template = arguments.hypothesis_template.as_deref().unwrap_or(Candidates::TEMPLATE);
    Candidates::new(Candidates::split(labels), template, arguments.multi_label).map(Some)
}

/// What the model is asked about each line: about the `candidates` where there are any.
fn question(
    arguments: &PredictArguments,
    candidates: Option<Candidates>,
    engine: &NativeEngine,
    tokenizer: &Tokenizer,
    printer: &Printer,
) -> Result<Question, PredictError> {
    let plain = Question::plain(engine, &arguments.model)?;
    let Some(candidates) = candidates else {
        return Ok(plain);
    };
    let Question::Head(head) = plain else {
        let reason =
            "candidate labels need a model with a classification head, which this one lacks";
        return Err(PredictError::Usage(reason.to_owned()));
    };
    let asked = candidates.ask(&head, arguments.candidates.entailment_id)?;
    asked.check_lengths(tokenizer)?;
    if let Some(note) = asked.note(&head) {
        printer.warning(&note);
    }
    Ok(Question::ZeroShot(asked))
}

fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    if is_dash(path) {
        return Ok(Box::new(stdin()));
    }
    let file = File::open(path).with_context(|| shown(path))?;
    if file.metadata().with_context(|| shown(path))?.is_dir() {
        anyhow::bail!("{}: is a folder, not a file", shown(path));
    }
    Ok(Box::new(file))
}

fn staged(path: &Path) -> anyhow::Result<NamedTempFile> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    NamedTempFile::new_in(parent.unwrap_or(Path::new("."))).with_context(|| shown(path))
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn shown(path: &Path) -> String {
    format!("`{}`", path.display())
}
