"""A run's cells with their rows, and every figure computed again from these, by scikit-learn and scipy."""

import json

import numpy as np
from scipy.stats import pearsonr, spearmanr
from sklearn import metrics

SIDES = ["native_original", "converted"]
CORRELATIONS = {"spearman_correlation": spearmanr, "pearson_correlation": pearsonr}


def cells(run):
    """Each cell of the run's report with its rows of `samples.jsonl`."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    with (run / "samples.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [(cell, [row for row in rows if row["cell"] == cell["id"]]) for cell in report["cells"]]


def classes(cell, rows, side):
    """Right and said classes of the rows; "" is said where the data does not have what the model says."""
    labels = cell["labels"]
    return ([labels["data_labels"][row["gold"]] for row in rows],
            [labels["model_labels"][row[side]["prediction"]] or "" for row in rows])


def of_labels(metric, cell, rows, side):
    gold, said = classes(cell, rows, side)
    names = cell["labels"]["confusion"]["classes"]
    occurring = [name for name in names if name in gold or name in said]
    return {
        "accuracy": lambda: metrics.accuracy_score(gold, said),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(gold, said),
        "f1": lambda: metrics.f1_score(gold, said, labels=names[1:], average="macro"),  # of the second of two
        "macro_f1": lambda: metrics.f1_score(gold, said, labels=occurring, average="macro", zero_division=0),
        "micro_f1": lambda: metrics.f1_score(gold, said, labels=names, average="micro"),
        "matthews_correlation": lambda: metrics.matthews_corrcoef(gold, said),
    }[metric]()


def of_sets(cell, rows, side):
    names = cell["provenance"]["dataset"]["labels"]
    gold, said = (np.array([[name in found for name in names] for found in sets])
                  for sets in ([row["gold"] for row in rows], [row[side]["prediction"] for row in rows]))
    return metrics.f1_score(gold, said, average="micro")


def dcg(gains):
    """Discounted cumulative gain as trec_eval has it: linear gains."""
    return sum(gain / np.log2(rank + 2) for rank, gain in enumerate(gains))


def of_rankings(metric, rows, side):
    """Means over queries; gains are grades, and all relevant documents are there to be found."""
    depth = int(metric.rsplit("_", 1)[1])

    def of_query(row):
        found, ideal = row[side]["scores"][:depth], sorted(row["gold"], reverse=True)[:depth]
        if metric.startswith("recall"):
            return np.count_nonzero(found) / len(row["gold"])
        return dcg(found) / dcg(ideal)

    return float(np.mean([of_query(row) for row in rows]))


def relevant(cell, rows):
    """Which rows should say yes: those of the second of two labels, or with a score above 0."""
    labels = cell["provenance"]["dataset"]["labels"]
    return np.array([row["gold"] == labels[1] if labels else row["gold"] > 0 for row in rows])


def again(metric, cell, rows, side):
    """The figure `metric` of a side."""
    if cell["labels"]:
        return of_labels(metric, cell, rows, side)
    if metric in CORRELATIONS:
        return CORRELATIONS[metric]([row[side]["scores"][0] for row in rows], [row["gold"] for row in rows]).statistic
    if metric == "average_precision":
        return metrics.average_precision_score(relevant(cell, rows), [row[side]["scores"][0] for row in rows])
    if metric == "similarity_accuracy":
        return metrics.accuracy_score(relevant(cell, rows), [row[side]["prediction"] for row in rows])
    if metric == "micro_f1":
        return of_sets(cell, rows, side)
    return of_rankings(metric, rows, side)
