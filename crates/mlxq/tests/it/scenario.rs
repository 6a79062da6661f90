//! The scenarios of `mlxq test` on a tiny model: what each leaves in the record, never how fast it was.

use serde_json::{Value, json};

use crate::json;
use crate::run::{run, similarity};

/// The record of a run in that scenario; two engines, five rounds.
fn record(more: &[&str]) -> (Value, String) {
    let work = similarity();
    let done = run(&work, "run", more);
    assert_eq!(done.code, 4, "{}", done.stderr);
    let path = work.path("mlx_conversion/comparisons/tiny_q8_pairs_comparison.json");
    (json(&path), done.stdout)
}

const SIDES: [&str; 2] = ["native_original", "mlx_8bit"];

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("a list").iter();
    numbers.map(|number| number.as_f64().expect("a number")).collect()
}

#[test]
fn one_after_the_other_is_the_default() {
    let (record, table) = record(&[]);
    assert!(table.contains("(30 rows, single-stream)"), "{table}");
    assert_eq!(record["protocol"]["scenario"], "single-stream");
    for side in SIDES.map(|side| &record[side]) {
        assert_eq!(side["scenario"], "single-stream");
        assert!(numbers(&side["latencies_ms"]).len() >= 100, "five blocks of 20 queries");
        assert!(side["batch_latencies_ms"].as_array().is_some_and(Vec::is_empty));
        assert_eq!((&side["batch_size"], &side["load"]), (&Value::Null, &Value::Null));
        assert!(side["timing_checks"]["flags"].is_array());
    }
}

/// The machine and the checks are complete whatever they say.
#[test]
fn the_machine_and_its_noise_are_in_the_record() {
    let (record, _) = record(&[]);
    let (environment, checks) = (&record["environment"], &record["timing_checks"]);
    assert_eq!(environment["machine"]["arch"], std::env::consts::ARCH);
    assert_eq!(environment["engines"].as_array().map(Vec::len), Some(2));
    assert_eq!(environment["engines"][0]["dtype"], "float32");
    assert_eq!(environment["engines"][0]["threads"], json!(1));
    assert_eq!(numbers(&checks["calibration_ms"]).len(), 11, "before ten blocks and after");
    let reasons = checks["invalid"].as_array().expect("a list").len();
    assert_eq!(checks["valid"].as_bool(), Some(reasons == 0));
    if cfg!(target_os = "linux") {
        for side in SIDES.map(|side| &record[side]) {
            let idle = side["memory_idle_mb"].as_f64().expect("readable");
            let peak = side["memory_peak_mb"].as_f64().expect("readable");
            assert!(idle > 0.0 && idle < peak, "{idle} {peak}");
            let above = side["memory_peak_above_idle_mb"].as_f64().expect("a difference");
            assert!((above - (peak - idle)).abs() < 1e-9);
            assert!(side["timing_checks"]["involuntary_switches"].is_u64());
        }
    }
}

/// 30 rows in batches of 8 are three full ones and one of 6, which is no time of a batch.
#[test]
fn offline_times_batches_and_no_queries() {
    let (record, table) = record(&["--scenario", "offline", "--batch-size", "8"]);
    assert!(table.contains("(30 rows, offline in batches of 8)"), "{table}");
    assert_eq!(record["protocol"]["batch_size"], json!(8));
    for side in SIDES.map(|side| &record[side]) {
        assert_eq!((&side["scenario"], &side["batch_size"]), (&json!("offline"), &json!(8)));
        assert!(numbers(&side["latencies_ms"]).is_empty());
        assert_eq!(side["latency_p50_ms"], Value::Null);
        assert_eq!(side["missing"]["latency_p50_ms"], "only batches are timed");
        assert!(numbers(&side["batch_latencies_ms"]).len() >= 10);
        assert!(side["batch_latency_p50_ms"].as_f64().is_some_and(|ms| ms > 0.0));
        assert!(side["qpm"].as_f64().is_some_and(|qpm| qpm > 0.0));
    }
    assert_eq!(self::record(&["--scenario", "offline"]).0["protocol"]["batch_size"], json!(32));
}

/// 0.01 seconds of 1000 queries a second are fewer than the 20 that a block has at least.
#[test]
fn a_server_gets_its_queries_at_random_times_and_speed_is_not_judged() {
    let (record, table) = record(&["--scenario", "server", "--rate", "1000"]);
    assert!(table.contains("(30 rows, server at 1000 queries a second)"), "{table}");
    let protocol = &record["protocol"];
    assert_eq!(protocol["rate_per_second"].as_f64(), Some(1000.0));
    assert_eq!(protocol["arrival_seed"], json!(42));
    for side in SIDES.map(|side| &record[side]) {
        assert_eq!(side["scenario"], "server");
        assert_eq!(numbers(&side["latencies_ms"]).len(), 100);
        assert!(side["latency_p95_ms"].is_f64());
        let load = &side["load"];
        assert_eq!(load["rate_per_second"].as_f64(), Some(1000.0));
        let utilization = load["utilization"].as_f64().expect("a number");
        assert_eq!(load["kept_up"].as_bool(), Some(utilization < 1.0));
    }
    assert_eq!(record["quality_gates"]["speed"]["verdict"], "not measured");
}

#[test]
fn settings_of_another_scenario_are_refused() {
    let work = similarity();
    let refused = |more: &[&str], words: &[&str]| run(&work, "run", more).refused(2, words);
    refused(&["--scenario", "server"], &["--rate"]);
    refused(&["--scenario", "server", "--rate", "0"], &["rate"]);
    refused(&["--scenario", "server", "--rate", "nan"], &["rate"]);
    refused(&["--rate", "5"], &["--rate", "single-stream"]);
    refused(&["--scenario", "offline", "--rate", "5"], &["--rate", "offline"]);
    refused(&["--batch-size", "8"], &["--batch-size", "single-stream"]);
    refused(&["--scenario", "multi-stream"], &["single-stream, offline, server"]);
    assert!(!work.path("mlx_conversion").exists());
}
