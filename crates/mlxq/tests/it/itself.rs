//! A model against itself: nothing differs, nothing fails, and every record says what was compared. No time
//! is asserted.

use serde_json::{Value, json};

use crate::{Done, Work, json};

const CONFIG: &str = "gates: {max_accuracy_drop: 0.5}
models:
  - {name: tiny, path: tiny-bert-classify, task: nli, benchmarks: [d]}
datasets:
  d: {provider: local, path: rows.jsonl, columns: {text: a, text_pair: b, label: label}}
";

/// 48 pairs with labels in turn.
fn rows() -> Work {
    let work = Work::new();
    work.copy("tiny-bert-classify");
    work.write("all.yaml", CONFIG);
    let texts = ["a cat walks", "the dog runs", "a red bird sings", "no water", "two men eat"];
    let labels = ["entailment", "neutral", "contradiction"];
    let row = |n: usize| {
        let row =
            json!({"a": texts[n % 5], "b": texts[n / 5 % 5], "label": labels[(n + n / 3) % 3]});
        format!("{row}\n")
    };
    work.write("rows.jsonl", (0..48).map(row).collect::<String>());
    work
}

fn run(work: &Work, more: &[&str]) -> Done {
    let quick = ["--threads", "1", "--block-pairs", "5", "--block-seconds", "0.01"];
    work.mlxq(&[&["run", "--config", "all.yaml"], &quick[..], more].concat())
}

fn comparison(work: &Work, cell: &str) -> Value {
    json(&work.path(&format!("mlx_conversion/comparisons/{cell}_comparison.json")))
}

/// The one report that there is.
fn report(work: &Work) -> Value {
    let runs = std::fs::read_dir(work.path("mlx_conversion/runs")).expect("a folder");
    let runs: Vec<_> = runs.map(|entry| entry.expect("an entry").path()).collect();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    json(&run.join("report.json"))
}

#[test]
fn a_model_does_not_differ_from_itself_and_the_record_says_what_was_compared() {
    let work = rows();
    let done = run(&work, &["--against-itself", "--max-samples", "24", "--seed", "7"]);
    // The machine may be noisy, and then the speed is open; nothing fails.
    assert!(matches!(done.code, 0 | 4), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("against itself, the same model in two processes"));
    assert!(done.stdout.contains("mlxq, 8-bit, itself"), "{}", done.stdout);
    assert!(!done.stdout.contains("PyTorch"), "{}", done.stdout);

    let report = report(&work);
    let settings = &report["settings"];
    assert_eq!((&settings["against_itself"], &settings["seed"]), (&json!(true), &json!(7)));
    let cell = &report["cells"][0];
    assert_eq!(cell["id"], "tiny_q8_d_itself");
    assert_eq!(cell["sample_size"], 24);
    let sides = &cell["sides"];
    assert_eq!((&sides["torch"], &sides["native_original"]), (&Value::Null, &Value::Null));
    for part in ["engine", "scores", "size_bytes", "weights_bytes"] {
        assert_eq!(sides["itself"][part], sides["converted"][part], "{part}");
    }
    assert!(cell["speedup"].is_f64() && cell["speedup_interval_95"][1].is_f64());
    let pair = &cell["judgement"]["converted_to_itself"];
    assert_eq!(cell["judgement"]["original_to_converted"], Value::Null);
    assert_eq!((&pair["flips"]["changed"], &pair["mcnemar"]["exact_p"]), (&json!(0), &json!(1.0)));
    assert_eq!(pair["fidelity"]["largest_difference"], 0.0);
    assert_eq!(pair["figures"][0]["drop"], 0.0);
    for gate in cell["gates"].as_array().expect("gates") {
        assert_ne!(gate["verdict"], "fail", "{gate}");
        if gate["name"] == "speed" {
            assert_eq!(gate["threshold"], Value::Null);
            assert!(!gate["description"].as_str().expect("words").contains("PyTorch"), "{gate}");
        }
    }
    let original = comparison(&work, "tiny_q8_d_itself");
    assert_eq!(
        (&original["pytorch_baseline"], &original["native_original"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(original["mlx_8bit_itself"]["accuracy"], original["mlx_8bit"]["accuracy"]);
    for none in ["test_results", "cache", "comparisons/tiny_q8_d_comparison.json"] {
        assert!(!work.path("mlx_conversion").join(none).exists(), "{none}");
    }
}

/// Neither takes the other's measurement for its own, and neither writes over the other's record.
#[test]
fn it_is_another_cell_than_that_of_the_original() {
    let work = rows();
    run(&work, &["--no-torch"]);
    let before = comparison(&work, "tiny_q8_d");
    let itself = run(&work, &["--against-itself"]);
    assert!(!itself.stderr.contains("already measured"), "{}", itself.stderr);
    assert_eq!(comparison(&work, "tiny_q8_d"), before);
    let again = run(&work, &["--against-itself"]);
    assert!(again.stderr.contains("already measured"), "{}", again.stderr);
    let original = run(&work, &["--no-torch"]);
    assert!(original.stderr.contains("already measured"), "{}", original.stderr);
}

/// The same seed draws the same rows, another one others.
#[test]
fn a_seed_draws_the_sample() {
    let work = rows();
    let drawn = |seed: &str| {
        run(&work, &["--against-itself", "--fresh", "--max-samples", "12", "--seed", seed]);
        comparison(&work, "tiny_q8_d_itself")["dataset"]["row_ids"].clone()
    };
    let (first, second, again) = (drawn("1"), drawn("2"), drawn("1"));
    assert_eq!(first.as_array().map(Vec::len), Some(12));
    assert_eq!(first, again);
    assert_ne!(first, second);
    // 42 is what a data set has where nothing is asked for.
    run(&work, &["--against-itself", "--fresh", "--max-samples", "12"]);
    assert_eq!(comparison(&work, "tiny_q8_d_itself")["dataset"]["row_ids"], drawn("42"));
}

#[test]
fn what_needs_a_baseline_is_refused_beside_it() {
    let work = rows();
    for other in [&["--reuse-baseline"][..], &["--fidelity", "rows.jsonl"]] {
        let done = run(&work, &[&["--against-itself"], other].concat());
        done.refused(2, &["--against-itself", other[0]]);
    }
}
