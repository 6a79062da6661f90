//! The records of a run: what is written, what a killed run leaves, what two runs have in common.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Done, Work, json};

const CONFIG: &str = "models:
  - name: tiny
    path: tiny-bert-classify
    task: nli
    quantization: {bits: 8, max_accuracy_drop: 0.5}
    benchmarks: [first, second]
datasets:
  first:
    provider: local
    path: first.jsonl
    columns: {text: premise, text_pair: hypothesis, label: label}
  second:
    provider: local
    path: second.jsonl
    columns: {text: premise, text_pair: hypothesis, label: label}
";

const QUICK: [&str; 7] =
    ["--no-torch", "--threads", "1", "--block-pairs", "5", "--block-seconds", "0.01"];

/// Two data sets of 24 pairs; the labels go round, so that some answers are right and some wrong.
fn two_data_sets() -> Work {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    work.write("all.yaml", CONFIG);
    let texts = ["a cat walks", "the dog runs", "a red bird sings", "no water", "two men eat"];
    let labels = ["entailment", "neutral", "contradiction"];
    for (file, shift) in [("first.jsonl", 0), ("second.jsonl", 1)] {
        let row = |n: usize| {
            let label = labels[(n + n / 3 + shift) % 3];
            let row = json!({"premise": texts[n % 5], "hypothesis": texts[n / 5], "label": label});
            format!("{row}\n")
        };
        work.write(file, (0..24).map(row).collect::<String>());
    }
    work
}

fn run(work: &Work, more: &[&str]) -> Done {
    work.mlxq(&[&["run", "--config", "all.yaml"], &QUICK[..], more].concat())
}

/// The folders of all runs, oldest first.
fn runs(work: &Work) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(work.path("mlx_conversion/runs")).expect("a folder");
    let mut runs: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    runs.sort_by_key(|run| json(&run.join("report.json"))["started"].to_string());
    runs
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("lines");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The names of a run's events.
fn events(run: &Path) -> Vec<String> {
    let word = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let lines = lines(&run.join("events.jsonl"));
    lines.iter().map(|line| format!("{} {}", word(line, "event"), word(line, "cell"))).collect()
}

fn valid(schema: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(schema);
    let validator = jsonschema::validator_for(&json(&path)).expect("a schema");
    let errors: Vec<_> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{schema}: {errors:?}");
}

/// The report as its schema says, each figure as its rows say, each row as its schema says.
#[test]
fn a_report_is_valid_and_its_rows_give_its_figures() {
    let work = two_data_sets();
    let done = run(&work, &[]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let [folder] = &runs(&work)[..] else { panic!("one run") };
    let report = json(&folder.join("report.json"));
    valid("report.schema.json", &report);
    // A schema that allows everything would not notice.
    let mut wrong = report.clone();
    wrong["cells"][0]["gates"][0]["verdict"] = json!("perhaps");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/report.schema.json");
    assert!(!jsonschema::is_valid(&json(&path), &wrong));

    assert_eq!(report["exit_code"], 4);
    assert_eq!(report["cells"].as_array().map(Vec::len), Some(2));
    let rows = lines(&folder.join("samples.jsonl"));
    assert_eq!(rows.len(), 48);
    for cell in report["cells"].as_array().expect("cells") {
        let rows: Vec<_> = rows.iter().filter(|row| row["cell"] == cell["id"]).collect();
        let ids: Vec<_> = rows.iter().map(|row| row["id"].clone()).collect();
        assert_eq!(json!(ids), cell["provenance"]["dataset"]["row_ids"]);
        for side in ["native_original", "converted"] {
            let right = rows.iter().filter(|row| row[side]["prediction"] == row["gold"]).count();
            let accuracy = &cell["sides"][side]["scores"][0];
            assert_eq!(accuracy["metric"], "accuracy");
            assert_eq!(accuracy["value"], json!(right as f64 / 24.0));
        }
        let original = format!("mlx_conversion/comparisons/{}_comparison.json", text(&cell["id"]));
        let original = json(&work.path(&original));
        assert_eq!(
            original["mlx_8bit"]["accuracy"],
            cell["sides"]["converted"]["scores"][0]["value"]
        );
        assert_eq!(original["verdict"], cell["verdict"]);
    }
    rows.iter().for_each(|row| valid("sample.schema.json", row));
    let tests = report["changes"]["cells"].as_array().expect("tests");
    assert_eq!(tests.len(), 2);
    assert!(done.stdout.contains("All cells of the run"), "{}", done.stdout);
    assert_eq!(
        events(folder),
        [
            "run_started ",
            "cell_started tiny_q8_first",
            "cell_finished tiny_q8_first",
            "verdict tiny_q8_first",
            "cell_started tiny_q8_second",
            "cell_finished tiny_q8_second",
            "verdict tiny_q8_second",
            "run_ended ",
        ]
    );
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

#[test]
fn what_is_measured_already_is_said_and_not_measured_again_unless_asked() {
    let work = two_data_sets();
    run(&work, &["--dataset", "first"]);
    let again = run(&work, &["--dataset", "first"]);
    assert!(again.stderr.contains("already measured at 20"), "{}", again.stderr);
    assert_eq!(run(&work, &["--dataset", "first", "--strict"]).code, 1);
    run(&work, &["--dataset", "first", "--fresh"]);
    // Another row, another key.
    let rows = std::fs::read_to_string(work.path("first.jsonl")).expect("rows");
    work.write("first.jsonl", rows.replacen("\"neutral\"", "\"entailment\"", 1));
    run(&work, &["--dataset", "first"]);
    // What is kept is not whole: it counts for nothing.
    for entry in std::fs::read_dir(work.path("mlx_conversion/cells")).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a kept cell");
        std::fs::write(&path, &text[..text.len() / 2]).expect("cut");
    }
    run(&work, &["--dataset", "first"]);
    let runs = runs(&work);
    let measured = |run: &PathBuf| events(run)[1].starts_with("cell_started");
    let expected = [true, false, false, true, true, true];
    assert_eq!(runs.iter().map(measured).collect::<Vec<_>>(), expected);
    let cell = |run: usize| json(&runs[run].join("report.json"))["cells"][0].clone();
    assert_eq!(cell(0), cell(1));
    assert_ne!(cell(0)["measured"], cell(3)["measured"]);
    assert_eq!(cell(0)["key"], cell(3)["key"]);
    assert_ne!(cell(0)["key"], cell(4)["key"]);
}

/// Killed between two cells, a run is continued: the first cell is taken as it was measured, its time
/// with it, and only the second is measured.
#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_with_the_next_cell() {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    let work = two_data_sets();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mlxq"))
        .args([&["run", "--config", "all.yaml"], &QUICK[..]].concat())
        .current_dir(work.path("."))
        .env("MLX_TEMP_DIR", work.path("."))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let log = || -> Option<Vec<String>> {
        let folder = std::fs::read_dir(work.path("mlx_conversion/runs")).ok()?.next()?.ok()?.path();
        folder.join("events.jsonl").exists().then(|| events(&folder))
    };
    while log()
        .is_none_or(|events| events.last().is_none_or(|last| last != "cell_started tiny_q8_second"))
    {
        assert_eq!(child.try_wait().expect("a process"), None, "too quick to be killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("killed");
    child.wait().expect("ended");

    assert_eq!(run(&work, &[]).code, 4);
    let [killed, resumed] = &runs(&work)[..] else { panic!("two runs") };
    assert_eq!(events(killed).last().map(String::as_str), Some("cell_started tiny_q8_second"));
    assert_eq!(
        events(resumed),
        [
            "run_started ",
            "cell_already_measured tiny_q8_first",
            "verdict tiny_q8_first",
            "cell_started tiny_q8_second",
            "cell_finished tiny_q8_second",
            "verdict tiny_q8_second",
            "run_ended ",
        ]
    );
    let [before, after] = [killed, resumed].map(|run| json(&run.join("report.json")));
    assert_eq!(before["ended"], Value::Null);
    valid("report.schema.json", &before);
    assert_eq!(before["cells"].as_array().map(Vec::len), Some(1));
    assert_eq!(before["cells"][0], after["cells"][0]);
    assert_eq!(after["cells"][0]["measured_by"], before["run_id"]);
    assert_eq!(after["cells"][1]["measured_by"], after["run_id"]);
    let of_first = |run: &Path| {
        let rows = lines(&run.join("samples.jsonl")).into_iter();
        rows.filter(|row| row["cell"] == "tiny_q8_first").collect::<Vec<_>>()
    };
    assert_eq!(of_first(killed), of_first(resumed));
    // A run that nobody disturbs comes to the same answers and figures.
    run(&work, &["--fresh"]);
    let whole = runs(&work).pop().expect("a run");
    assert_eq!(lines(&whole.join("samples.jsonl")), lines(&resumed.join("samples.jsonl")));
    let whole = json(&whole.join("report.json"));
    for cell in 0..2 {
        for key in ["id", "key", "judgement", "labels", "sample_size", "quantization"] {
            assert_eq!(whole["cells"][cell][key], after["cells"][cell][key], "{key}");
        }
    }
}

#[test]
fn two_runs_are_compared_over_the_same_rows_only() {
    let work = two_data_sets();
    run(&work, &["--dataset", "first"]);
    work.write("all.yaml", config_of_four_bits());
    run(&work, &["--dataset", "first"]);
    let folders = runs(&work);
    let names: Vec<_> = folders.iter().map(|run| run.to_str().expect("text")).collect();
    let compared = work.mlxq(&["compare", names[0], names[1], "--format", "json"]).good();
    let compared: Value = serde_json::from_str(&compared.stdout).expect("JSON");
    valid("compare.schema.json", &compared);
    let cell = &compared["cells"][0];
    assert_eq!(cell["sides"][0]["bits"], 8);
    assert_eq!(cell["sides"][1]["bits"], 4);
    // By hand from the rows.
    let right = |run: &Path| -> Vec<bool> {
        let rows = lines(&run.join("samples.jsonl"));
        rows.iter().map(|row| row["converted"]["prediction"] == row["gold"]).collect()
    };
    let (a, b) = (right(&folders[0]), right(&folders[1]));
    let count =
        |wanted: (bool, bool)| a.iter().zip(&b).filter(|(a, b)| (**a, **b) == wanted).count();
    assert_eq!(cell["mcnemar"]["lost"], count((true, false)));
    assert_eq!(cell["mcnemar"]["gained"], count((false, true)));
    let difference = cell["figures"][0]["difference"].as_f64().expect("a number");
    let expected = count((false, true)) as f64 - count((true, false)) as f64;
    assert!((difference - expected / 24.0).abs() < 1e-12);
    let text = work.mlxq(&["compare", names[0], &format!("{}/report.json", names[1])]).good();
    // The machine of a test may be too noisy for valid times.
    let said = ["of different runs", "are not valid: "];
    assert!(said.iter().any(|words| text.stdout.contains(words)), "{}", text.stdout);

    work.mlxq(&["compare", names[0], "nowhere"]).refused(3, &["nowhere"]);
    work.mlxq(&["compare", names[0]]).refused(2, &["<B>"]);
    run(&work, &["--dataset", "second"]);
    let second = runs(&work).pop().expect("a run");
    work.mlxq(&["compare", names[0], second.to_str().expect("text")])
        .refused(3, &["no cell in common", "tiny_q8_first", "tiny_q4_second"]);
    // Fewer rows; then as many of another file.
    run(&work, &["--dataset", "first", "--max-samples", "20"]);
    let fewer = runs(&work).pop().expect("a run");
    work.mlxq(&["compare", names[0], fewer.to_str().expect("text")])
        .refused(3, &["data set `first` differs", "24 rows in A, 20 in B"]);
    let rows = std::fs::read_to_string(work.path("first.jsonl")).expect("rows");
    work.write("first.jsonl", rows.replacen("a cat", "the cat", 1));
    run(&work, &["--dataset", "first"]);
    let other = runs(&work).pop().expect("a run");
    work.mlxq(&["compare", names[0], other.to_str().expect("text")])
        .refused(3, &["data set `first` differs", "hash"]);
    // A figure that its rows do not give.
    let report = std::fs::read_to_string(folders[1].join("report.json")).expect("a report");
    let samples = folders[1].join("samples.jsonl");
    let kept = std::fs::read_to_string(&samples).expect("rows");
    std::fs::write(
        &samples,
        kept.lines().skip(1).map(|line| format!("{line}\n")).collect::<String>(),
    )
    .expect("written");
    work.mlxq(&["compare", names[0], names[1]]).refused(3, &["23 rows here and 24"]);
    std::fs::write(&samples, kept.replace("\"right\":true", "\"right\":false")).expect("written");
    if b.contains(&true) {
        work.mlxq(&["compare", names[0], names[1]]).refused(3, &["its rows give 0"]);
    }
    std::fs::write(
        folders[1].join("report.json"),
        report.replacen("\"schema_version\": 1", "\"schema_version\": 9", 1),
    )
    .expect("written");
    work.mlxq(&["compare", names[0], names[1]]).refused(3, &["version 9"]);
}

fn config_of_four_bits() -> String {
    CONFIG.replace("bits: 8", "bits: 4")
}

/// Labels and names come from files of others; none of them steers the terminal.
#[test]
fn names_with_escape_sequences_are_shown_and_not_done() {
    let work = two_data_sets();
    let config = CONFIG.replace("name: tiny", r#"name: "t\x1b[31m""#);
    work.write("all.yaml", config);
    let done = run(&work, &["--dataset", "first"]);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let folder = runs(&work).pop().expect("a run");
    let name = folder.to_str().expect("text");
    for output in [
        done.stdout,
        done.stderr,
        work.mlxq(&["compare", name, name]).good().stdout,
        work.mlxq(&["compare", name, name, "--format", "json"]).good().stdout,
    ] {
        assert!(!output.contains('\u{1b}'), "{output:?}");
        assert!(output.contains("[31m"), "{output:?}");
    }
}
