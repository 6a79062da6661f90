//! Development tasks: `cargo xtask` lists them.

mod bench;
mod fixtures;
mod model;
mod peers;
mod places;
mod process;
mod quickstart;
mod results;
mod smollm2;
mod test;
mod tidy;

use std::process::ExitCode;

use crate::process::say;

const HELP: &str = "\
cargo xtask quickstart [--with-pytorch]  convert, run and judge a real model
cargo xtask test [--no-peers]            format, lints, tidy, all tests
cargo xtask tidy                         the rules of the code's shape
cargo xtask bench [run] [--rounds N]     a model's speed against PyTorch, taken in one run
cargo xtask bench convert [--rounds N]   whole conversions against mlx_lm.convert
cargo xtask bench quantize               the quantizing loop against MLX on one core
cargo xtask bench start [--rounds N]     from a process's start to its first answer
cargo xtask bench engine [options]       whole models against PyTorch and ONNX Runtime, and the machine's
                                         limits: --models A,B --rounds N --threads N --quick --json
                                         --instructions (counts them under callgrind instead)
cargo xtask bench itself [options]       models against themselves, where nothing may differ:
                                         --seeds N --block-seconds S --json
cargo xtask results                      the developers' trained models and the examples: docs/results.md
cargo xtask schemas                      the JSON Schemas of records, from their types: schemas/
cargo xtask fixtures                     make the files under fixtures/ again
cargo xtask fixtures llama-1b            make the model that `bench convert` converts, 2.2 GB
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["quickstart"] => quickstart::run(false),
        ["quickstart", "--with-pytorch"] => quickstart::run(true),
        ["test"] => test::run(true),
        ["test", "--no-peers"] => test::run(false),
        ["tidy"] => tidy::run(),
        ["bench"] | ["bench", "run"] => bench::run(None),
        ["bench", "--rounds", rounds] | ["bench", "run", "--rounds", rounds] => {
            bench::run(Some(rounds))
        }
        ["bench", "convert"] => bench::convert(None),
        ["bench", "convert", "--rounds", rounds] => bench::convert(Some(rounds)),
        ["bench", "quantize"] => bench::quantize(),
        ["bench", "start"] => bench::start(None),
        ["bench", "start", "--rounds", rounds] => bench::start(Some(rounds)),
        ["bench", "engine", options @ ..] => bench::engine(options),
        ["bench", "itself", options @ ..] => bench::itself(options),
        ["results"] => results::run(),
        ["schemas"] => test::schemas(),
        ["fixtures"] => fixtures::run(),
        ["fixtures", "llama-1b"] => fixtures::llama_1b().map(|folder| {
            say(&format!("it is in {}", folder.display()));
            ExitCode::SUCCESS
        }),
        [] | ["help" | "--help" | "-h"] => {
            say(HELP);
            return ExitCode::SUCCESS;
        }
        other => {
            say(&format!("unknown task `{}`\n\n{HELP}", other.join(" ")));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
