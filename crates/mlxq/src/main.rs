//! `mlxq`: arguments, messages and exit codes; all work is done by the crates below.

mod args;
mod command;
mod exit;
mod interrupt;
mod printer;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::printer::Printer;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return exit::usage(&error),
    };
    let printer = Printer::new(arguments.quiet, arguments.verbose);
    // A worker ends with the process that it serves.
    if !matches!(arguments.command, Command::Worker(_)) {
        interrupt::listen();
    }
    let done = match arguments.command {
        Command::Compare(arguments) => command::compare::run(&arguments, &printer),
        Command::Convert(arguments) => command::convert::run(&arguments, &printer),
        Command::Inspect(arguments) => command::inspect::run(&arguments, &printer),
        Command::Predict(arguments) => command::predict::run(&arguments, &printer),
        Command::Test(arguments) => command::test::run(&arguments, &printer, false),
        Command::Run(arguments) => command::test::run(&arguments, &printer, true),
        Command::Worker(arguments) => command::worker::run(&arguments),
    };
    exit::code(done, &printer)
}
