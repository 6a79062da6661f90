//! Exit codes: see `docs/design.md`.

use std::io::ErrorKind;
use std::process::ExitCode;

use mlxq_pipeline::ExitClass;

use crate::interrupt;
use crate::printer::Printer;

/// Why a command ended without its result.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The kind of error.
    pub(crate) class: ExitClass,
    /// What went wrong, with its causes.
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// A wrong argument.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { class: ExitClass::Usage, error: error.into() }
    }

    /// Something wrong with input, data, model or machine.
    pub(crate) fn input(error: impl Into<anyhow::Error>) -> Self {
        Self { class: ExitClass::Input, error: error.into() }
    }
}

/// The end of a command.
pub(crate) type Done = Result<ExitClass, Failure>;

/// Prints clap's message: help and version are no errors.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe behind --help is nobody's fault.
    let _ = error.print();
    if error.use_stderr() { ExitClass::Usage.into() } else { ExitCode::SUCCESS }
}

/// The exit code of a command, its error printed.
pub(crate) fn code(done: Done, printer: &Printer) -> ExitCode {
    match done {
        Ok(class) => class.into(),
        Err(_) if interrupt::requested() => {
            printer.error(&anyhow::anyhow!("interrupted; what was finished is kept"));
            ExitClass::Interrupted.into()
        }
        Err(Failure { error, .. }) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure { class, error }) => {
            printer.error(&error);
            class.into()
        }
    }
}

/// Whoever reads our output has had enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == ErrorKind::BrokenPipe)
}
