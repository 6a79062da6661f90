"""Every task on data with labels, in one run: its figures are those of scikit-learn, scipy and sentence-transformers
on the same predictions, and the predictions those of transformers and sentence-transformers."""

import csv
import json

import numpy as np
import pytest
from conftest import mlxq, predict
from figures import SIDES, again, cells

CONFIG = """
models:
  - {name: bert, path: SHARED/models/bert-nli, task: nli, benchmarks: [tail], quantization: {group_size: 32}}
  - {name: deberta, path: SHARED/models/deberta-v3-nli-binary, task: zero-shot-classification,
     benchmarks: [tail, rte, topics]}
  - {name: bart, path: SHARED/models/bart-nli, task: zero-shot-classification, benchmarks: [topics]}
  - {name: distilbert, path: SHARED/models/distilbert-sst2, task: text-classification, benchmarks: [sst2],
     quantization: {group_size: 32}}
  - {name: goemotions, path: SHARED/models/bert-goemotions, task: multi-label, benchmarks: [feelings]}
  - {name: xlm-roberta, path: SHARED/models/xlm-roberta-stsb, task: regression, benchmarks: [sts],
     quantization: {group_size: 32}}
  - {name: tiny, path: SHARED/models/sbert-tiny, task: semantic-similarity, benchmarks: [sts, same, cranfield]}
  - {name: minilm, path: "MINILM", task: semantic-similarity, benchmarks: [sts, same, cranfield]}
  - {name: reranker, path: SHARED/models/minilm-reranker, task: reranking, benchmarks: [pairs, queries]}
datasets:
  tail:
    {provider: local, path: SHARED/models/dev/snli-dev-tail.jsonl, preprocessing: {max_length: 64},
     metrics: [accuracy, macro_f1, micro_f1, balanced_accuracy, matthews],
     columns: {text: premise, text_pair: hypothesis, label: label}}
  rte:
    {provider: local, path: SHARED/data/rte/validation.parquet, metrics: [accuracy, f1],
     columns: {text: sentence1, text_pair: sentence2, label: label}}
  topics:
    {provider: local, path: SHARED/data/agnews/test.csv, columns: {text: 2, label: 0}, first_id: 1, max_samples: 60,
     labels: [World, Sports, Business, Sci/Tech], candidates: {Sci/Tech: science and technology},
     template: "This text is about {}.", preprocessing: {max_length: 64}}
  sst2:
    {provider: local, path: SHARED/data/sst2/dev.tsv, columns: {text: sentence, label: label},
     labels: [negative, positive], metrics: [accuracy, f1, matthews]}
  feelings:
    {provider: local, path: SHARED/data/goemotions/dev.tsv, quoting: true, columns: {text: 0, labels: 1},
     max_samples: 500, labels: [FEELINGS]}
  sts:
    {provider: local, path: SHARED/data/stsb/sts-dev.csv, format: tsv, columns: {text: 5, text_pair: 6, score: 4},
     max_samples: 300}
  same:
    {provider: local, splits: {validation: SHARED/data/mrpc/msr-para-val.tsv, test: SHARED/data/mrpc/msr-para-test.tsv},
     split: test, threshold_split: validation, labels: [not_equivalent, equivalent], max_samples: 500,
     columns: {text: "#1 String", text_pair: "#2 String", label: Quality}}
  cranfield: {provider: local, path: SHARED/data/cranfield, format: collection}
  queries:
    {provider: local, path: SHARED/data/cranfield, format: collection, max_samples: 40, preprocessing: {max_length: 96}}
  pairs:
    {provider: local, path: pairs.jsonl, columns: {text: query, text_pair: document, score: relevant},
     keep_empty: true, preprocessing: {max_length: 96}}
"""
CELLS = [
    ("bert", "tail"), ("deberta", "tail"), ("deberta", "rte"), ("deberta", "topics"), ("bart", "topics"),
    ("distilbert", "sst2"), ("goemotions", "feelings"), ("xlm-roberta", "sts"), ("tiny", "sts"), ("tiny", "same"),
    ("tiny", "cranfield"), ("minilm", "sts"), ("minilm", "same"), ("minilm", "cranfield"), ("reranker", "pairs"),
    ("reranker", "queries"),
]


def lines(path):
    """The rows of a file with tabs, its header left out."""
    return [line.split("\t") for line in path.read_text(encoding="utf-8-sig").splitlines()[1:]]


def texts_of(path, parts=("title", "text")):
    """Texts of a collection's documents or queries by their ids."""
    found = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {row["_id"]: " ".join(filter(None, map(row.get, parts))) for row in found}


def reranker_pairs(shared):
    """The pairs that the reranker was judged by when it was made: documents without their titles, one empty."""
    documents, queries = (texts_of(shared / f"data/cranfield/{name}.jsonl", ["text"]) for name in ("corpus", "queries"))
    for query, document, relevant in lines(shared / "models/dev/cranfield-rerank-dev.tsv"):
        yield {"query": queries[query], "document": documents[document], "relevant": int(relevant)}


@pytest.fixture(scope="module")
def found(shared, minilm, tmp_path_factory):
    """Each cell of the run with its rows, by model and data set."""
    folder = tmp_path_factory.mktemp("tasks")
    feelings = ", ".join((shared / "data/goemotions/labels.txt").read_text().split())
    config = CONFIG.replace("SHARED", str(shared)).replace("MINILM", str(minilm)).replace("FEELINGS", feelings)
    (folder / "all.yaml").write_text(config)
    (folder / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in reranker_pairs(shared)))
    mlxq("run", "--config", folder / "all.yaml", "--output-dir", folder / "out", "--no-torch",
         "--block-pairs", "5", "--block-seconds", "0.01", codes=(0, 1, 4), env={"MLX_TEMP_DIR": str(folder)})
    [run] = (folder / "mlx_conversion/runs").iterdir()
    return {(cell["model"], cell["dataset_key"]): (cell, rows) for cell, rows in cells(run)}


def figure(cell, metric):
    """A figure of the original in the native engine."""
    return next(score["value"] for score in cell["sides"]["native_original"]["scores"] if score["metric"] == metric)


@pytest.mark.parametrize("which", CELLS)
def test_figures_are_those_of_the_rows(found, which):
    assert found.keys() == set(CELLS)
    cell, rows = found[which]
    assert len(rows) == cell["sample_size"]
    for side in SIDES:
        for score in cell["sides"][side]["scores"]:
            expected = again(score["metric"], cell, rows, side)
            assert abs(score["value"] - expected) < 1e-6, (side, score, expected)


# Rounding lets documents whose logits are nearly equal change places.
@pytest.mark.parametrize(("which", "folder", "metric", "rows", "tolerance"), [
    (("bert", "tail"), "bert-nli", "accuracy", 1000, 1e-9),
    (("deberta", "tail"), "deberta-v3-nli-binary", "accuracy", 1000, 1e-9),
    (("distilbert", "sst2"), "distilbert-sst2", "accuracy", 872, 1e-9),
    (("reranker", "pairs"), "minilm-reranker", "average_precision", 1358, 1e-4),
])
def test_models_reach_the_figures_recorded_when_they_were_made(found, shared, which, folder, metric, rows, tolerance):
    """transformers' own figures; the labels of bert-nli have another order than the data's."""
    recorded = json.loads((shared / "models" / folder / "TRAINING.json").read_text(encoding="utf-8"))["dev"]
    cell, _ = found[which]
    assert cell["sample_size"] == recorded["rows"] == rows
    assert abs(figure(cell, metric) - recorded["value"]) < tolerance
    assert not (cell["labels"] or {}).get("suspicion")


def test_predictions_are_the_largest_score(found):
    for which in CELLS:
        cell, rows = found[which]
        if cell["labels"] is None:
            continue
        is_zero_shot = cell["provenance"]["zero_shot_hypotheses"] is not None
        for side in SIDES:
            names = cell["provenance"]["dataset"]["labels"] if is_zero_shot else cell["sides"][side]["engine"]["labels"]
            for row in rows:
                assert row[side]["prediction"] == names[int(np.argmax(row[side]["scores"]))]


def test_inference_is_asked_as_pairs_and_topics_by_hypotheses(found):
    assert found["deberta", "rte"][0]["provenance"]["task"] == "nli"
    cell, _ = found["deberta", "topics"]
    hypotheses = cell["provenance"]["zero_shot_hypotheses"]
    assert hypotheses["Sci/Tech"] == "This text is about science and technology."
    assert hypotheses["World"] == "This text is about world."


def test_zero_shot_scores_are_those_of_the_pipeline(found, shared):
    from transformers import pipeline

    asked = pipeline("zero-shot-classification", model=str(shared / "models/bart-nli"), device="cpu")
    asked.tokenizer.model_max_length = 64
    with (shared / "data/agnews/test.csv").open(newline="", encoding="utf-8") as file:
        texts = [line[2] for line in csv.reader(file)]
    labels = ["world", "sports", "business", "science and technology"]
    _, rows = found["bart", "topics"]
    for row in rows[:20]:
        answer = asked(texts[row["id"]], labels, hypothesis_template="This text is about {}.")
        scores = dict(zip(answer["labels"], answer["scores"], strict=True))
        np.testing.assert_allclose(row["native_original"]["scores"], [scores[label] for label in labels], atol=1e-5)


@pytest.mark.parametrize("model", ["tiny", "minilm"])
def test_paraphrases_are_told_by_the_threshold_of_another_split(found, shared, minilm, model):
    """The cosines are those of `mlxq predict`; the threshold is sentence-transformers', on the other split."""
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator

    cell, rows = found[model, "same"]
    folder = minilm if model == "minilm" else shared / "models/sbert-tiny"
    fields = lines(shared / "data/mrpc/msr-para-val.tsv")
    assert cell["provenance"]["dataset"]["threshold_split"]["rows"] == len(fields) == 500
    vectors = np.array([row["embedding"] for row in predict(folder, [text for line in fields for text in line[3:5]])])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, labels = (vectors[::2] * vectors[1::2]).sum(1), np.array([int(line[0]) for line in fields])
    _, threshold = BinaryClassificationEvaluator.find_best_acc_and_threshold(cosines, labels, True)
    answers = [row["native_original"] for row in rows]
    assert [answer["prediction"] for answer in answers] == [answer["scores"][0] >= threshold for answer in answers]


@pytest.mark.parametrize(("model", "data"), [("tiny", "cranfield"), ("minilm", "cranfield"), ("reranker", "queries")])
def test_gains_are_the_grades_of_the_documents_found(found, shared, model, data):
    grades = {}
    for query, document, grade in lines(shared / "data/cranfield/qrels.tsv"):
        grades.setdefault(query, {})[document] = float(grade)
    for row in found[model, data][1]:
        of_query = grades[row["id"]]
        assert sorted(row["gold"]) == sorted(grade for grade in of_query.values() if grade > 0)
        for side in SIDES:
            gains = [of_query.get(document, 0.0) for document in row[side]["prediction"]]
            assert row[side]["scores"][:10] == gains and len(gains) == 10


def test_documents_are_ranked_by_the_cosines_of_sentence_transformers(found, shared):
    """Equal but for cosines that differ by no more than rounding."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(shared / "models/sbert-tiny"), device="cpu")
    documents, queries = (texts_of(shared / f"data/cranfield/{name}.jsonl") for name in ("corpus", "queries"))
    embedded = model.encode(list(documents.values()), normalize_embeddings=True)
    place = {document: at for at, document in enumerate(documents)}
    for row in found["tiny", "cranfield"][1]:
        cosines = embedded @ model.encode(queries[row["id"]], normalize_embeddings=True)
        ranked = [cosines[place[document]] for document in row["native_original"]["prediction"]]
        np.testing.assert_allclose(ranked, np.sort(cosines)[::-1][:10], atol=1e-5)


def test_retrieval_with_a_real_model(found):
    """0.5058 is sentence-transformers' figure for all 225 queries (float32, 256 tokens)."""
    cell, _ = found["minilm", "cranfield"]
    assert cell["sample_size"] == 225
    assert round(figure(cell, "ndcg_at_10"), 4) == 0.5058
