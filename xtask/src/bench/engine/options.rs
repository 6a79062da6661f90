//! The options of `cargo xtask bench engine`.

use anyhow::{Context, Result, bail};

/// What is measured, how often, and how it is told.
#[derive(Debug, PartialEq)]
pub(super) struct Options {
    /// Names of the models; all where there are none.
    pub(super) models: Vec<String>,
    pub(super) rounds: usize,
    /// Threads of each engine.
    pub(super) threads: usize,
    /// A quarter of the texts, fewer rounds.
    pub(super) quick: bool,
    pub(super) json: bool,
    /// Counts instructions instead of seconds.
    pub(super) instructions: bool,
}

impl Options {
    /// The options in `arguments`.
    ///
    /// # Errors
    /// When one is unknown or lacks its value.
    pub(super) fn parse(arguments: &[&str]) -> Result<Self> {
        let (mut models, mut rounds, mut threads) = (Vec::new(), None, 2);
        let (mut quick, mut json, mut instructions) = (false, false, false);
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{option} needs a value"));
            match *option {
                "--models" => models = value()?.split(',').map(str::to_owned).collect(),
                "--rounds" => rounds = Some(count(option, value()?)?),
                "--threads" => threads = count(option, value()?)?,
                "--quick" => quick = true,
                "--json" => json = true,
                "--instructions" => instructions = true,
                other => bail!("`bench engine` has no option `{other}`"),
            }
        }
        let rounds = rounds.unwrap_or(if quick { 2 } else { 5 });
        Ok(Self { models, rounds, threads, quick, json, instructions })
    }
}

fn count(option: &str, text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.with_context(|| format!("{option} needs a number from 1 on, not `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let options = Options::parse(&["--models", "a,b", "--quick"]).expect("right");
        assert_eq!(options.models, ["a", "b"]);
        assert_eq!((options.rounds, options.threads, options.quick), (2, 2, true));
        for wrong in
            [["--rounds", "0"], ["--rounds", "x"], ["--fast", "1"], ["--quick", "--models"]]
        {
            assert!(Options::parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
