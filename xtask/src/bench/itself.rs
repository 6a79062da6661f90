//! Models against themselves, again and again: what measuring and judging make of no difference.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use super::convert::machine;
use crate::process::{command, say, status};
use crate::{model, places, quickstart};

/// Rows of each sample.
const ROWS: &str = "500";
/// Block pairs where the speed is looked at.
const PAIRS: &str = "10";
/// Block pairs and seconds of a block where it is not.
const UNTIMED: [&str; 2] = ["5", "0.01"];
/// Below it a difference counts as significant.
const LEVEL: f64 = 0.05;

/// A model, its task, its data set in YAML, and whether its speed is looked at.
struct Subject {
    model: &'static str,
    folder: PathBuf,
    task: &'static str,
    /// Weights per scale.
    group: usize,
    key: &'static str,
    data: PathBuf,
    form: &'static str,
    timed: bool,
}

/// One run of one subject with one seed.
#[derive(Debug, Serialize)]
struct Line {
    seed: u64,
    model: &'static str,
    /// Rows with another answer; `None` where answers are not right or wrong.
    flips: Option<u64>,
    /// The largest difference of one number of the outputs.
    largest_difference: f64,
    drop: f64,
    /// The drop's two-sided 95 % interval.
    drop_interval: [f64; 2],
    /// Exact two-sided p of McNemar's test; `None` as `flips`.
    p: Option<f64>,
    verdict: String,
    /// Whether a gate failed.
    failed: bool,
    /// Speed ratio with its 95 % interval; `None` where only answers are looked at.
    speed: Option<[f64; 3]>,
    /// Why its times are not valid.
    invalid: Vec<String>,
}

/// Holds each subject against itself with seeds from 1 on; fails where a gate fails, a difference is
/// significant or an answer changes.
///
/// # Errors
/// When an option is wrong, a model cannot be had, or a run leaves no record.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let options = Options::parse(arguments)?;
    let Some(shared) = places::shared() else {
        say("the developers' data sets are not here (MLXQ_SHARED): nothing is measured");
        return Ok(ExitCode::SUCCESS);
    };
    let mlxq = quickstart::release_build()?;
    let work = places::cache()?.join("bench-itself");
    if work.exists() {
        std::fs::remove_dir_all(&work)?; // what an interrupted run left
    }
    std::fs::create_dir_all(&work)?;
    let subjects = subjects(&shared)?;
    say(&machine());
    say(HEAD);
    let mut lines = Vec::new();
    for seed in 1..=options.seeds {
        for subject in &subjects {
            let line = subject.run(&mlxq, &work, seed, &options.block_seconds)?;
            say(&line.text());
            lines.push(line);
        }
    }
    std::fs::remove_dir_all(&work)?;
    let counts = Counts::of(&lines);
    say(&counts.text());
    if options.json {
        let told = json!({"machine": machine(), "runs": lines, "counts": counts});
        writeln!(std::io::stdout(), "{told:#}")?;
    }
    Ok(if counts.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How often, how long, and how it is told.
#[derive(Debug, PartialEq)]
struct Options {
    seeds: u64,
    /// Seconds that a timed block lasts at least, as a number in words.
    block_seconds: String,
    json: bool,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self { seeds: 20, block_seconds: "1".to_owned(), json: false };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{option} needs a value"));
            match *option {
                "--seeds" => {
                    let number = value()?.parse().ok().filter(|number| *number > 0);
                    options.seeds = number.context("--seeds needs a number from 1 on")?;
                }
                "--block-seconds" => options.block_seconds = (*value()?).to_owned(),
                "--json" => options.json = true,
                other => bail!("`bench itself` has no option `{other}`"),
            }
        }
        Ok(options)
    }
}

fn subjects(shared: &Path) -> Result<Vec<Subject>> {
    let folder = places::cache()?.join("models/all-MiniLM-L6-v2");
    model::ensure(&folder)?;
    let mut subjects = vec![Subject {
        model: "all-MiniLM-L6-v2",
        folder,
        task: "semantic-similarity",
        group: 64,
        key: "stsb",
        data: shared.join("data/stsb/sts-dev.csv"),
        form: "format: tsv, columns: {text: 5, text_pair: 6, score: 4}",
        timed: true,
    }];
    let folder = shared.join("models/distilbert-sst2");
    if folder.is_dir() {
        subjects.push(Subject {
            model: "distilbert-sst2",
            folder,
            task: "sentiment-analysis",
            group: 32,
            key: "sst2",
            data: shared.join("data/sst2/dev.tsv"),
            form: "columns: {text: sentence, label: label}, labels: [negative, positive]",
            timed: false,
        });
    }
    Ok(subjects)
}

impl Subject {
    /// One run in a folder of its own under `work`; the converted model is made by the first.
    fn run(&self, mlxq: &Path, work: &Path, seed: u64, block_seconds: &str) -> Result<Line> {
        let name = self.model;
        let config = work.join(format!("{name}.yaml"));
        let Self { folder, task, group, key, data, form, .. } = self;
        std::fs::write(
            &config,
            format!(
                "models:\n  - name: {name}\n    path: {folder:?}\n    task: {task}\n    quantization: \
                 {{group_size: {group}}}\n    gates: {{max_accuracy_drop: 0.01}}\n    benchmarks: [{key}]\n\
                 datasets:\n  {key}: {{provider: local, path: {data:?}, {form}}}\n"
            ),
        )?;
        let records = work.join(format!("{name}-{seed}"));
        let [pairs, seconds] = if self.timed { [PAIRS, block_seconds] } else { UNTIMED };
        let code = status(
            command(mlxq, ["run", "--quiet", "--against-itself", "--max-samples", ROWS])
                .args(["--seed", &seed.to_string()])
                .args(["--block-pairs", pairs, "--block-seconds", seconds])
                .arg("--config")
                .arg(config)
                .arg("--output-dir")
                .arg(work.join("converted"))
                .stdout(std::process::Stdio::null())
                .env("MLX_TEMP_DIR", &records),
        )?;
        ensure!(matches!(code.code(), Some(0 | 1 | 4)), "the run of {name} ended with {code}");
        let record = format!("mlx_conversion/comparisons/{name}_q8_{key}_itself_comparison.json");
        let record = records.join(record);
        let text =
            std::fs::read_to_string(&record).with_context(|| record.display().to_string())?;
        Line::of(seed, name, self.timed, &serde_json::from_str(&text)?)
            .with_context(|| format!("{} lacks something", record.display()))
    }
}

const HEAD: &str = "seed model              flips      drop (95 % interval)   McNemar p       verdict  \
                    speed (95 % interval)         holds 1";

impl Line {
    /// What the comparison `record` says; `None` where it is incomplete.
    fn of(seed: u64, model: &'static str, timed: bool, record: &Value) -> Option<Self> {
        let pair = &record["judgement"]["converted_to_itself"];
        let figure = &pair["figures"][0];
        let bounds = |value: &Value| Some([value[0].as_f64()?, value[1].as_f64()?]);
        let speed = || {
            let [low, high] = bounds(&record["speedup_interval_95"])?;
            Some([record["speedup"].as_f64()?, low, high])
        };
        let checks = &record["timing_checks"]["invalid"];
        let gates = record["quality_gates"].as_object()?;
        Some(Self {
            seed,
            model,
            flips: pair["flips"]["changed"].as_u64(),
            largest_difference: pair["fidelity"]["largest_difference"].as_f64()?,
            drop: figure["drop"].as_f64()?,
            drop_interval: bounds(&figure["two_sided_95"])?,
            p: pair["mcnemar"]["exact_p"].as_f64(),
            verdict: record["verdict"].as_str()?.to_owned(),
            failed: gates.values().any(|gate| gate["verdict"] == "fail"),
            speed: if timed { Some(speed()?) } else { None },
            invalid: checks
                .as_array()?
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Whether the two sides differ by more than chance: McNemar's test, or the drop's interval without 0.
    fn is_significant(&self) -> bool {
        let [low, high] = self.drop_interval;
        self.p.is_some_and(|p| p < LEVEL) || low > 0.0 || high < 0.0
    }

    fn holds_one(&self) -> Option<bool> {
        self.speed.map(|[_, low, high]| low <= 1.0 && 1.0 <= high)
    }

    fn text(&self) -> String {
        let [low, high] = self.drop_interval.map(|bound| bound * 100.0);
        let flips = self.flips.map_or("-".to_owned(), |flips| flips.to_string());
        let p = self.p.map_or("-".to_owned(), |p| format!("{p:.3}"));
        let mut text = format!(
            "{:4} {:18} {flips:>5} {:7.2} ({low:6.2} to {high:5.2}) {p:>10} {:>14}",
            self.seed,
            self.model,
            self.drop * 100.0,
            self.verdict,
        );
        if let (Some([ratio, low, high]), Some(holds)) = (self.speed, self.holds_one()) {
            let holds = if holds { "yes" } else { "no" };
            text.push_str(&format!("  {ratio:.4} ({low:.4} to {high:.4}) {holds:>9}"));
            self.invalid.iter().for_each(|why| text.push_str(&format!("  not valid: {why}")));
        }
        text
    }
}

/// What all runs come to.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Counts {
    runs: usize,
    fails: usize,
    significant: usize,
    /// Runs in which an answer or one number of the outputs differs.
    changed: usize,
    intervals: usize,
    holding_one: usize,
    /// The same of runs whose times are valid.
    valid_intervals: usize,
    valid_holding_one: usize,
}

impl Counts {
    fn of(lines: &[Line]) -> Self {
        let count = |which: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| which(line)).count();
        let valid = |line: &Line| line.invalid.is_empty();
        Self {
            runs: lines.len(),
            fails: count(&|line| line.failed),
            significant: count(&Line::is_significant),
            changed: count(&|line| {
                line.flips.is_some_and(|flips| flips > 0) || line.largest_difference > 0.0
            }),
            intervals: count(&|line| line.speed.is_some()),
            holding_one: count(&|line| line.holds_one() == Some(true)),
            valid_intervals: count(&|line| line.speed.is_some() && valid(line)),
            valid_holding_one: count(&|line| line.holds_one() == Some(true) && valid(line)),
        }
    }

    fn good(&self) -> bool {
        [self.fails, self.significant, self.changed] == [0; 3]
    }

    fn text(&self) -> String {
        format!(
            "{} runs: {} fails, {} significant, {} with another output; the speed's interval holds 1 in {} \
             of {} (of {} with valid times in {})",
            self.runs,
            self.fails,
            self.significant,
            self.changed,
            self.holding_one,
            self.intervals,
            self.valid_intervals,
            self.valid_holding_one,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Value {
        json!({
            "judgement": {"converted_to_itself": {
                "figures": [{"drop": 0.0, "two_sided_95": [-0.01, 0.01]}],
                "flips": {"changed": 0}, "mcnemar": {"exact_p": 1.0},
                "fidelity": {"largest_difference": 0.0},
            }},
            "quality_gates": {"all_passed": true, "accuracy": {"verdict": "pass"}},
            "verdict": "pass", "speedup": 1.01, "speedup_interval_95": [0.99, 1.03],
            "timing_checks": {"invalid": []},
        })
    }

    #[test]
    fn what_is_wrong_is_counted() {
        let right = Line::of(1, "m", true, &record()).expect("complete");
        assert!(right.text().contains("1.0100 (0.9900 to 1.0300)       yes"), "{}", right.text());
        let mut wrong = record();
        wrong["judgement"]["converted_to_itself"]["mcnemar"]["exact_p"] = json!(0.01);
        wrong["judgement"]["converted_to_itself"]["flips"]["changed"] = json!(7);
        wrong["quality_gates"]["accuracy"]["verdict"] = json!("fail");
        wrong["speedup_interval_95"] = json!([1.005, 1.03]);
        wrong["timing_checks"]["invalid"] = json!(["noise"]);
        let wrong = Line::of(2, "m", true, &wrong).expect("complete");
        let counts = Counts::of(&[right, wrong]);
        let Counts { fails, significant, changed, holding_one, valid_intervals, .. } = counts;
        assert_eq!((fails, significant, changed), (1, 1, 1));
        assert_eq!((holding_one, valid_intervals), (1, 1));
        assert!(!counts.good());
    }

    #[test]
    fn a_record_without_a_ratio_is_refused_where_speed_is_looked_at() {
        let mut record = record();
        record["speedup"] = json!(null);
        assert!(Line::of(1, "m", true, &record).is_none());
        assert!(Line::of(1, "m", false, &record).is_some());
    }

    #[test]
    fn options_are_read_and_wrong_ones_refused() {
        let options = Options::parse(&["--json", "--seeds", "3"]).expect("right");
        assert_eq!((options.seeds, options.block_seconds.as_str(), options.json), (3, "1", true));
        for wrong in [["--seeds", "0"], ["--seeds", "x"], ["--json", "--fast"]] {
            assert!(Options::parse(&wrong).is_err(), "{wrong:?}");
        }
    }
}
