//! `mlxq predict`: texts in, vectors out.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, stdin, stdout};
use std::path::Path;

use anyhow::Context;
use mlxq_engine::native::{NativeEngine, NativeOptions};
use mlxq_engine::{EngineError, Tokenizer};
use mlxq_pipeline::predict::predict;
use mlxq_pipeline::{ExitClass, Reporter};
use tempfile::NamedTempFile;

use crate::args::PredictArguments;
use crate::command::threads;
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command.
pub(crate) fn run(arguments: &PredictArguments, printer: &Printer) -> Done {
    predict_lines(arguments, printer).map_err(Failure::input)
}

fn predict_lines(arguments: &PredictArguments, printer: &Printer) -> anyhow::Result<ExitClass> {
    let mut input = open(&arguments.input)?;
    let options = NativeOptions { threads: threads(arguments.threads) };
    let (engine, tokenizer) = open_model(arguments, options);
    let (mut engine, tokenizer) = (engine?, tokenizer?);
    let longest = tokenizer.max_length();
    if arguments.max_length.is_some_and(|asked| asked > longest.tokens) {
        printer
            .warning(&format!("rows are cut to {} tokens: {}", longest.tokens, longest.decided_by));
    }
    let mut run = |output: &mut dyn std::io::Write| {
        predict(&mut engine, &tokenizer, arguments.batch_size, &mut input, output, printer)
    };
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

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if is_dash(path) {
        return Ok(Box::new(stdin().lock()));
    }
    let file = File::open(path).with_context(|| shown(path))?;
    if file.metadata().with_context(|| shown(path))?.is_dir() {
        anyhow::bail!("{}: is a folder, not a file", shown(path));
    }
    Ok(Box::new(BufReader::new(file)))
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
