"""`samples.jsonl` gives every figure of `report.json`, computed by scikit-learn and scipy; `mlxq compare` is theirs too."""

import json

import numpy as np
import pytest
from conftest import ROOT, mlxq
from figures import SIDES, again, cells, classes
from scipy.stats import binomtest, pearsonr


@pytest.fixture(scope="module")
def runs(minilm, tmp_path_factory):
    """Two runs, at 8 and at 3 bits: similarity with all-MiniLM-L6-v2, labels with the tiny fixture."""
    folder = tmp_path_factory.mktemp("records")
    tiny = ROOT / "fixtures/tiny-bert-classify"
    words = ["cat", "walks", "dog", "runs", "bird", "water", "men", "eat", "fire", "red"]
    labels = ["entailment", "neutral", "contradiction"]
    rng = np.random.default_rng(7)
    with (folder / "rows.jsonl").open("w") as file:
        for row in range(120):
            text, pair = (" ".join(rng.choice(words, size=4)) for _ in range(2))
            file.write(json.dumps({"a": text, "b": pair, "label": labels[row % 3]}) + "\n")
    found = []
    for bits in (8, 3):
        config = folder / f"{bits}.yaml"
        config.write_text(f"""
models:
  - {{name: minilm, path: "{minilm}", task: semantic-similarity, benchmarks: [pairs], quantization: {{bits: {bits}}}}}
  - {{name: tiny, path: "{tiny}", task: nli, benchmarks: [rows], quantization: {{bits: {bits}, max_accuracy_drop: 0.5}}}}
datasets:
  rows: {{provider: local, path: rows.jsonl, columns: {{text: a, text_pair: b, label: label}}}}
""")
        mlxq("run", "--config", config, "--config", ROOT / "quickstart/datasets.yaml", "--output-dir", folder / "out",
             "--no-torch", "--block-pairs", "5", "--block-seconds", "0.01",
             codes=(0, 1, 4), env={"MLX_TEMP_DIR": str(folder / str(bits))})
        [run] = (folder / str(bits) / "mlx_conversion/runs").iterdir()
        found.append(run)
    return found


def test_rows_give_every_figure(runs):
    seen = set()
    for run in runs:
        for cell, rows in cells(run):
            assert len(rows) == cell["sample_size"]
            for side in SIDES:
                for figure in cell["sides"][side]["scores"]:
                    expected = again(figure["metric"], cell, rows, side)
                    assert abs(expected - figure["value"]) < 1e-9, (cell["id"], side, figure)
                    seen.add(figure["metric"])
    assert {"accuracy", "spearman_correlation", "pearson_correlation"} <= seen


def test_predictions_are_the_largest_score(runs):
    for cell, rows in cells(runs[0]):
        for side in SIDES:
            names = cell["sides"][side]["engine"]["labels"]
            for row in rows if names else []:
                assert row[side]["prediction"] == names[int(np.argmax(row[side]["scores"]))]


def test_mcnemar_and_flips_are_those_of_the_rows(runs):
    for cell, rows in cells(runs[1]):
        if cell["labels"] is None:
            continue
        test = cell["judgement"]["original_to_converted"]["mcnemar"]
        right = {side: [gold == said for gold, said in zip(*classes(cell, rows, side), strict=True)] for side in SIDES}
        lost = sum(a and not b for a, b in zip(right["native_original"], right["converted"], strict=True))
        gained = sum(b and not a for a, b in zip(right["native_original"], right["converted"], strict=True))
        assert (test["lost"], test["gained"]) == (lost, gained)
        expected = binomtest(lost, lost + gained, alternative="greater").pvalue if lost + gained else 1.0
        assert abs(test["one_sided_p"] - expected) < 1e-12
        report = json.loads((runs[1] / "report.json").read_text())
        [change] = report["changes"]["cells"]
        assert change["cell"] == cell["id"] and change["p"] == test["one_sided_p"] == change["p_holm"]


def test_two_runs_compared(runs):
    compared = json.loads(mlxq("compare", *runs, "--format", "json"))
    assert {cell["dataset_key"] for cell in compared["cells"]} == {"pairs", "rows"}
    for found, (a, rows_a), (b, rows_b) in zip(compared["cells"], cells(runs[0]), cells(runs[1]), strict=True):
        for figure in found["figures"]:
            values = [again(figure["metric"], cell, rows, "converted") for cell, rows in ((a, rows_a), (b, rows_b))]
            assert np.allclose(figure["values"], values, atol=1e-9)
            assert abs(figure["difference"] - (values[1] - values[0])) < 1e-9
            low, high = figure["interval_95"]
            assert low <= figure["difference"] <= high
        if found["mcnemar"]:
            right = [[gold == said for gold, said in zip(*classes(cell, rows, "converted"), strict=True)]
                     for cell, rows in ((a, rows_a), (b, rows_b))]
            lost = sum(x and not y for x, y in zip(*right, strict=True))
            gained = sum(y and not x for x, y in zip(*right, strict=True))
            assert (found["mcnemar"]["lost"], found["mcnemar"]["gained"]) == (lost, gained)
            expected = binomtest(lost, lost + gained).pvalue if lost + gained else 1.0
            assert abs(found["mcnemar"]["p"] - expected) < 1e-12


def test_a_bootstrap_interval_is_numpys(runs):
    """The same resampling by numpy's generator: the interval agrees as far as two draws of 10,000 do."""
    compared = json.loads(mlxq("compare", *runs, "--format", "json"))
    found = next(cell for cell in compared["cells"] if cell["dataset_key"] == "pairs")
    sides = [rows for run in runs for cell, rows in cells(run) if cell["dataset_key"] == "pairs"]
    gold = np.array([row["gold"] for row in sides[0]])
    scores = [np.array([row["converted"]["prediction"] for row in rows]) for rows in sides]
    rng = np.random.default_rng(1)
    draws = rng.integers(len(gold), size=(4000, len(gold)))
    difference = [pearsonr(scores[1][d], gold[d]).statistic - pearsonr(scores[0][d], gold[d]).statistic for d in draws]
    figure = next(figure for figure in found["figures"] if figure["metric"] == "pearson_correlation")
    low, high = np.quantile(difference, [0.025, 0.975])
    width = high - low
    assert abs(figure["interval_95"][0] - low) < 0.1 * width and abs(figure["interval_95"][1] - high) < 0.1 * width
