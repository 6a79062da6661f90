"""`mlxq run` with the PyTorch baseline: its record, and what a cached baseline may say."""

import json
import math
import sys

import pytest
from conftest import ROOT, mlxq

SIDE_KEYS = [
    "accuracy", "qpm", "size_mb", "tokens_per_sec", "memory_avg_mb", "memory_peak_mb", "latency_p50_ms",
    "latency_p95_ms", "latency_p99_ms", "inference_time", "sample_size", "spearman_correlation",
    "pearson_correlation",
]


@pytest.fixture(scope="module")
def work(minilm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "models.yaml").write_text(f"""
models:
  - name: org/minilm
    path: {minilm}
    task: semantic-similarity
    quantization: {{bits: 8, target_size_mb: 24, max_accuracy_drop: 0.01}}
    benchmarks: [pairs]
""")
    return folder


def run(work, *more):
    # So short a run decides nothing about speed: what is tested is the record.
    mlxq("run", "--config", work / "models.yaml", "--config", ROOT / "quickstart/datasets.yaml",
         "--output-dir", work / "out", "--python", sys.executable, "--threads", "1",
         "--block-pairs", "5", "--block-seconds", "0.4", *more,
         codes=(0, 1, 4), env={"MLX_TEMP_DIR": str(work)})
    record = work / "mlx_conversion/comparisons/org__minilm_q8_pairs_comparison.json"
    return json.loads(record.read_text())


@pytest.fixture(scope="module")
def record(work):
    return run(work)


def test_every_figure_was_measured_in_this_run(record):
    for side in ("pytorch_baseline", "native_original", "mlx_8bit"):
        figures = record[side]
        for key in SIDE_KEYS:
            # 100 queries are wanted before a p99 is given; five blocks of 0.4 s can have fewer.
            if figures[key] is None:
                assert key in figures["missing"], (side, key)
            else:
                assert math.isfinite(figures[key]), (side, key)
        assert figures["timing_source"] == "this run"
        assert len(figures["predictions"]) == len(figures["references"]) == 100
        assert figures["spearman_correlation"] == figures["accuracy"]
        assert figures["sample_size"] == 128
    assert record["pytorch_baseline"]["engine"]["engine"] == "torch"
    speed = record["quality_gates"]["speed"]
    assert speed["verdict"] == "inconclusive" and "too short" in speed["description"]


def test_the_records_keys_are_the_originals(record, work):
    for key in ("model_name", "dataset_name", "quantization_bits", "pytorch_baseline", "mlx_8bit",
                "accuracy_drop", "speedup", "quality_gates", "timestamp"):
        assert key in record, key
    for key in ("accuracy_passed", "speed_passed", "size_passed", "all_passed"):
        assert isinstance(record["quality_gates"][key], bool), key
    assert record["model_name"] == "org/minilm"
    results = work / "mlx_conversion/test_results"
    assert json.loads((results / "org__minilm_8bit_results.json").read_text()).keys() == {"org/minilm"}
    assert (results / "8bit_testing_summary.json").is_file()
    assert (work / "mlx_conversion/logs/testing_8bit.log").is_file()
    converted = json.loads((work / "mlx_conversion/results/org__minilm_conversion.json").read_text())
    assert converted["success"] and converted["metadata"]["model_name"] == "org/minilm"
    assert (work / "out/org__minilm-mlx-q8/conversion_metadata.json").is_file()


def test_both_engines_agree_on_the_original(record):
    # Both run the same f32 checkpoint: the row furthest apart still has the same direction.
    assert record["implementation_check"]["smallest_cosine"] >= 0.999999


def test_spearman_is_scipys(record, minilm):
    import numpy as np
    from conftest import predict, quickstart_pairs
    from scipy.stats import pearsonr, spearmanr

    pairs = quickstart_pairs()
    vectors = [np.array(row["embedding"]) for row in predict(minilm, [t for a, b, _ in pairs for t in (a, b)])]
    cosine = [a @ b for a, b in zip(vectors[::2], vectors[1::2], strict=True)]
    scores = [float(score) for *_, score in pairs]
    side = record["native_original"]
    assert abs(side["spearman_correlation"] - spearmanr(cosine, scores).statistic) < 1e-6
    assert abs(side["pearson_correlation"] - pearsonr(cosine, scores).statistic) < 1e-6


def test_a_cached_time_is_marked_and_passes_nothing(record, work):
    again = run(work, "--reuse-baseline")
    side = again["pytorch_baseline"]
    assert side["timing_source"] == "cached"
    assert side["latencies_ms"] == record["pytorch_baseline"]["latencies_ms"]
    assert again["mlx_8bit"]["timing_source"] == "this run"
    assert again["quality_gates"]["speed"]["verdict"] == "not measured"
    assert again["quality_gates"]["speed_passed"] is False and again["speedup"] is None
    assert again["quality_gates"]["all_passed"] is False


def test_a_fresh_run_never_takes_a_cached_time(record, work):
    assert run(work, "--fresh")["pytorch_baseline"]["timing_source"] == "this run"


def test_a_classifier_is_measured_beside_transformers(tmp_path):
    """The tiny fixture on rows whose labels are transformers' own decisions: both sides are right."""
    fixture = ROOT / "fixtures/tiny-bert-classify"
    labels = json.loads((fixture / "config.json").read_text())["id2label"]
    with (tmp_path / "rows.jsonl").open("w") as file:
        for line in (fixture / "expected.jsonl").open():
            row = json.loads(line)
            best = max(range(3), key=lambda i: row["output"][i])
            if row["text"] and "text_pair" in row:
                row = {"a": row["text"], "b": row["text_pair"], "label": labels[str(best)]}
                file.writelines([json.dumps(row) + "\n"] * 10)
    (tmp_path / "all.yaml").write_text(f"""
models:
  - {{name: tiny, path: "{fixture}", task: nli, benchmarks: [rows]}}
datasets:
  rows: {{provider: local, path: rows.jsonl, columns: {{text: a, text_pair: b, label: label}}}}
""")
    mlxq("run", "--config", tmp_path / "all.yaml", "--output-dir", tmp_path / "out", "--python", sys.executable,
         "--threads", "1", "--block-pairs", "5", "--block-seconds", "0.1",
         codes=(0, 4), env={"MLX_TEMP_DIR": str(tmp_path)})
    record = json.loads((tmp_path / "mlx_conversion/comparisons/tiny_q8_rows_comparison.json").read_text())
    assert record["pytorch_baseline"]["accuracy"] == record["native_original"]["accuracy"] == 1.0
    assert record["pytorch_baseline"]["sample_size"] == 30
    assert record["implementation_check"]["largest_difference"] < 2e-5
