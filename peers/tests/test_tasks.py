"""Every figure of every task, computed again by scikit-learn, scipy and sentence-transformers on the same predictions."""

import json
import math

import numpy as np
import pytest
from conftest import mlxq, predict
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

SIDES = {"native_original": "native_original", "converted": "mlx_8bit"}


def run(folder, shared, models, datasets, rows):
    """The records of a run by data set, and its rows by cell."""
    (folder / "all.yaml").write_text(f"models:\n{models}datasets:\n{datasets}".replace("SHARED", str(shared)))
    mlxq("run", "--config", folder / "all.yaml", "--output-dir", folder / "out", "--no-torch", "--max-samples", rows,
         "--block-pairs", "5", "--block-seconds", "0.01", codes=(0, 1, 4), env={"MLX_TEMP_DIR": str(folder)})
    records = {}
    for path in (folder / "mlx_conversion/comparisons").glob("*.json"):
        record = json.loads(path.read_text())
        records[record["model_name"], record["dataset_name"]] = record
    [samples] = (folder / "mlx_conversion/runs").glob("*/samples.jsonl")
    report = json.loads(samples.with_name("report.json").read_text())
    names = {cell["id"]: (cell["model"], cell["dataset_key"]) for cell in report["cells"]}
    by_cell = {}
    for line in samples.open(encoding="utf-8"):
        row = json.loads(line)
        by_cell.setdefault(names[row["cell"]], []).append(row)
    return records, by_cell


@pytest.fixture(scope="module")
def heads(shared, tmp_path_factory):
    return run(tmp_path_factory.mktemp("heads"), shared, """
  - {name: bert, path: SHARED/models/bert-nli, task: nli, benchmarks: [tail], quantization: {group_size: 32}}
  - {name: deberta, path: SHARED/models/deberta-v3-nli-binary, task: zero-shot-classification, benchmarks: [rte, topics]}
  - {name: bart, path: SHARED/models/bart-nli, task: zero-shot-classification, benchmarks: [topics]}
  - {name: goemotions, path: SHARED/models/bert-goemotions, task: multi-label, benchmarks: [feelings]}
""", """
  tail:
    {provider: local, path: SHARED/models/dev/snli-dev-tail.jsonl, metrics: [accuracy, macro_f1],
     columns: {text: premise, text_pair: hypothesis, label: label}, preprocessing: {max_length: 64}}
  rte:
    {provider: local, path: SHARED/data/rte/validation.parquet,
     columns: {text: sentence1, text_pair: sentence2, label: label}}
  topics:
    {provider: local, path: SHARED/data/agnews/test.csv, columns: {text: 2, label: 0}, first_id: 1, max_samples: 100,
     labels: [World, Sports, Business, Sci/Tech], candidates: {Sci/Tech: science and technology},
     template: "This text is about {}.", preprocessing: {max_length: 64}}
  feelings:
    {provider: local, path: SHARED/data/goemotions/dev.tsv, quoting: true, columns: {text: 0, labels: 1},
     labels: [""" + ", ".join((shared / "data/goemotions/labels.txt").read_text().split()) + """]}
""", 1000)


@pytest.fixture(scope="module")
def embeddings(shared, minilm, tmp_path_factory):
    return run(tmp_path_factory.mktemp("embeddings"), shared, f"""
  - {{name: tiny, path: SHARED/models/sbert-tiny, task: semantic-similarity, benchmarks: [sts, same]}}
  - {{name: minilm, path: "{minilm}", task: semantic-similarity, benchmarks: [sts, same]}}
  - {{name: reranker, path: SHARED/models/minilm-reranker, task: reranking, benchmarks: [cranfield]}}
""", """
  sts:
    {provider: local, path: SHARED/data/stsb/sts-dev.csv, format: tsv, columns: {text: 5, text_pair: 6, score: 4}}
  same:
    {provider: local, splits: {validation: SHARED/data/mrpc/msr-para-val.tsv, test: SHARED/data/mrpc/msr-para-test.tsv},
     split: test, threshold_split: validation, labels: [not_equivalent, equivalent],
     columns: {text: "#1 String", text_pair: "#2 String", label: Quality}}
  cranfield:
    {provider: local, path: SHARED/data/cranfield, format: collection, max_samples: 40, preprocessing: {max_length: 96}}
""", 2000)


def close(figure, expected):
    assert math.isclose(figure, expected, abs_tol=1e-6), (figure, expected)


@pytest.mark.parametrize("cell", [("bert", "tail"), ("deberta", "rte"), ("deberta", "topics"), ("bart", "topics")])
def test_labels(heads, cell):
    records, rows = heads
    record, rows = records[cell], rows[cell]
    for side, key in SIDES.items():
        gold = [record["labels"]["data_labels"][row["gold"]] for row in rows]
        said = [record["labels"]["model_labels"][row[side]["prediction"]] for row in rows]
        close(record[key]["accuracy"], accuracy_score(gold, said))
        if "macro_f1" in record[key]:
            close(record[key]["macro_f1"], f1_score(gold, said, average="macro"))
        best = [int(np.argmax(row[side]["scores"])) for row in rows]
        names = list(record["labels"]["model_labels"])
        assert [names[place] for place in best] == [row[side]["prediction"] for row in rows]


def test_a_head_in_another_order_reaches_its_recorded_accuracy(heads, shared):
    training = json.loads((shared / "models/bert-nli/TRAINING.json").read_text())["dev"]
    record = heads[0]["bert", "tail"]
    assert record["native_original"]["sample_size"] == training["rows"] == 1000
    close(record["native_original"]["accuracy"], training["value"])
    assert record["labels"]["suspicion"] is None


def test_inference_is_asked_as_pairs_and_topics_by_hypotheses(heads):
    records, _ = heads
    assert records["deberta", "rte"]["task"] == "nli"
    topics = records["deberta", "topics"]
    assert topics["zero_shot_hypotheses"]["Sci/Tech"] == "This text is about science and technology."
    assert topics["zero_shot_hypotheses"]["World"] == "This text is about world."


def test_zero_shot_is_transformers_own(heads, shared):
    """The scores of the first rows are those of transformers' pipeline."""
    import csv

    from transformers import pipeline

    asked = pipeline("zero-shot-classification", model=str(shared / "models/bart-nli"), device="cpu")
    asked.tokenizer.model_max_length = 64
    with (shared / "data/agnews/test.csv").open(newline="", encoding="utf-8") as file:
        texts = [line[2] for line in csv.reader(file)]
    labels = ["world", "sports", "business", "science and technology"]
    for row in heads[1]["bart", "topics"][:8]:
        answer = asked(texts[row["id"]], labels, hypothesis_template="This text is about {}.")
        scores = dict(zip(answer["labels"], answer["scores"], strict=True))
        np.testing.assert_allclose(row["native_original"]["scores"], [scores[label] for label in labels], atol=1e-5)


def test_sets_of_labels(heads):
    records, rows = heads
    record, rows = records["goemotions", "feelings"], rows["goemotions", "feelings"]
    names = record["dataset"]["labels"]
    table = lambda sets: np.array([[name in found for name in names] for found in sets])
    for side, key in SIDES.items():
        gold, said = table([row["gold"] for row in rows]), table([row[side]["prediction"] for row in rows])
        close(record[key]["micro_f1"], f1_score(gold, said, average="micro"))


@pytest.mark.parametrize("model", ["tiny", "minilm"])
def test_similarity(embeddings, model):
    records, rows = embeddings
    record, rows = records[model, "sts"], rows[model, "sts"]
    for side, key in SIDES.items():
        scores, gold = [row[side]["scores"][0] for row in rows], [row["gold"] for row in rows]
        close(record[key]["spearman_correlation"], spearmanr(scores, gold).statistic)
        close(record[key]["pearson_correlation"], pearsonr(scores, gold).statistic)


@pytest.mark.parametrize("model", ["tiny", "minilm"])
def test_paraphrases_are_told_by_the_threshold_of_another_split(embeddings, shared, minilm, model):
    """The cosines are those of `mlxq predict`; the threshold is sentence-transformers', on the other split."""
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator

    records, rows = embeddings
    record, rows = records[model, "same"], rows[model, "same"]
    folder = minilm if model == "minilm" else shared / "models/sbert-tiny"
    lines = (shared / "data/mrpc/msr-para-val.tsv").read_text(encoding="utf-8-sig").splitlines()[1:]
    fields = [line.split("\t") for line in lines]
    vectors = np.array([row["embedding"] for row in predict(folder, [text for line in fields for text in line[3:5]])])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, labels = (vectors[::2] * vectors[1::2]).sum(1), np.array([int(line[0]) for line in fields])
    gold = np.array([row["gold"] == "equivalent" for row in rows])
    side = record["native_original"]
    scores = np.array([row["native_original"]["scores"][0] for row in rows])
    close(side["average_precision"], average_precision_score(gold, scores))
    said = np.array([row["native_original"]["prediction"] for row in rows])
    close(side["similarity_accuracy"], accuracy_score(gold, said))
    assert record["dataset"]["threshold_split"]["rows"] == len(fields) == 500
    _, threshold = BinaryClassificationEvaluator.find_best_acc_and_threshold(cosines, labels, True)
    np.testing.assert_array_equal(said, scores >= threshold)


def dcg(gains):
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:10]))


def judged(shared):
    grades = {}
    for line in (shared / "data/cranfield/qrels.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        grades.setdefault(query, {})[document] = float(grade)
    return grades


def check_ranking(record, rows, grades):
    """nDCG@10 with the grades as gains, over all relevant documents."""
    for side, key in SIDES.items():
        figures = []
        for row in rows:
            of_query = grades[row["id"]]
            gains = [of_query.get(document, 0.0) for document in row[side]["prediction"]]
            figures.append(dcg(gains) / dcg(sorted(of_query.values(), reverse=True)))
        close(record[key]["ndcg_at_10"], float(np.mean(figures)))


def test_reranking_of_a_collection(embeddings, shared):
    records, rows = embeddings
    check_ranking(records["reranker", "cranfield"], rows["reranker", "cranfield"], judged(shared))


def test_retrieval_with_a_real_model(shared, minilm, tmp_path):
    """0.5058 is sentence-transformers' figure for all 225 queries (float32, 256 tokens)."""
    records, rows = run(tmp_path, shared, f"""
  - {{name: minilm, path: "{minilm}", task: retrieval, benchmarks: [cranfield]}}
""", "  cranfield: {provider: local, path: SHARED/data/cranfield, format: collection}\n", 1000)
    record = records["minilm", "cranfield"]
    assert record["native_original"]["sample_size"] == 225
    assert round(record["native_original"]["ndcg_at_10"], 4) == 0.5058
    check_ranking(record, rows["minilm", "cranfield"], judged(shared))
