//! `mlxq inspect`: what a folder holds, and how far it is from its source.

use std::path::{Path, PathBuf};

use mlxq_pipeline::{ExitClass, find_source, inspect_folder};

use crate::args::InspectArguments;
use crate::command::{hub_cache, limit_threads, pipeline_failure};
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command.
pub(crate) fn run(arguments: &InspectArguments, printer: &Printer) -> Done {
    limit_threads(arguments.threads).map_err(Failure::usage)?;
    let folder = folder(&arguments.model)?;
    let source = arguments.source.as_deref().map(self::folder).transpose()?;
    let found = inspect_folder(&folder, source.as_deref(), printer).map_err(pipeline_failure)?;
    let printed = match arguments.json {
        true => printer.document(&found.to_json()),
        false => printer.result(&found.to_text(arguments.tensors)),
    };
    printed.map_err(Failure::input)?;
    Ok(ExitClass::Done)
}

fn folder(name: &Path) -> Result<PathBuf, Failure> {
    Ok(find_source(name, None, hub_cache().as_deref()).map_err(pipeline_failure)?.folder)
}
