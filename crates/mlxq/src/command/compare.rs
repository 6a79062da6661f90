//! `mlxq compare`: two runs side by side.

use mlxq_pipeline::{ExitClass, compare_runs};

use crate::args::CompareArguments;
use crate::command::pipeline_failure;
use crate::exit::{Done, Failure};
use crate::printer::Printer;

/// Runs the command.
pub(crate) fn run(arguments: &CompareArguments, printer: &Printer) -> Done {
    let found = compare_runs(&arguments.a, &arguments.b).map_err(pipeline_failure)?;
    let printed = match arguments.format.as_str() {
        "json" => printer.document(&found.to_json()),
        _ => printer.result(&found.to_text()),
    };
    printed.map_err(Failure::input)?;
    Ok(ExitClass::Done)
}
