//! `mlxq worker`: the native engine behind the worker protocol.

use std::io::{stdin, stdout};

use mlxq_engine::native::{NativeEngine, NativeOptions};
use mlxq_engine::{Engine, EngineError, worker};
use mlxq_pipeline::ExitClass;

use crate::args::WorkerArguments;
use crate::exit::{Done, Failure};

/// Serves until the other side ends.
pub(crate) fn run(arguments: &WorkerArguments) -> Done {
    let activations = arguments.activations;
    let load = |model: &std::path::Path, threads| -> Result<Box<dyn Engine>, EngineError> {
        Ok(Box::new(NativeEngine::open(model, NativeOptions { threads, activations })?))
    };
    worker::serve(&mut stdin().lock(), &mut stdout().lock(), load).map_err(Failure::input)?;
    Ok(ExitClass::Done)
}
