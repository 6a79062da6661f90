"""The developers' trained models, against what transformers was recorded to give for them.

`expected.jsonl` has token ids, logits or an embedding for 50 rows of each: rows of a dev set and hard texts.
"""

import json

import numpy as np
import pytest
from conftest import mlxq
from worker import Worker

NAMES = ["bart-nli", "bert-goemotions", "bert-nli", "deberta-v3-nli-binary", "distilbert-sst2", "minilm-reranker",
         "mobilebert-trec", "modernbert-agnews", "mpnet-emotion", "roberta-agnews", "sbert-tiny",
         "xlm-roberta-stsb"]
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def native():
    worker = Worker()
    yield worker
    worker.close()


def read(folder):
    """The rows recorded, and what transformers gave for them `[rows, width]`."""
    lines = (folder / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return rows, np.array([row.get("logits") or row["embedding"] for row in rows])


def distance(ours, theirs):
    """The largest difference, relative to the largest number of `theirs`."""
    assert ours.shape == theirs.shape
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("name", NAMES)
def test_recorded_ids_give_the_recorded_numbers(native, shared, name):
    rows, theirs = read(shared / "models" / name)
    native.load(shared / "models" / name)
    ids = [row["input_ids"] for row in rows]
    segments = [row.get("token_type_ids") or [0] * len(row["input_ids"]) for row in rows]
    assert len(rows) == 50
    assert distance(native.predict(ids, segments), theirs) <= TOLERANCE


def from_texts(folder, rows, max_length):
    """What `mlxq predict` gives for the rows' texts."""
    lines = [{key: row[key] for key in ("text", "text_pair") if row.get(key) is not None} for row in rows]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    output = mlxq("predict", folder, "--input", "-", "--max-length", max_length, stdin=stdin)
    answers = [json.loads(line) for line in output.splitlines()]
    return np.array([answer.get("embedding") or answer["logits"] for answer in answers])


@pytest.mark.parametrize("name", NAMES)
def test_texts_give_the_recorded_numbers(shared, name):
    """All rows: the ids recorded are those of tokenizer.json, also where transformers' class has others."""
    folder = shared / "models" / name
    rows, theirs = read(folder)
    longest = json.loads((folder / "TRAINING.json").read_text(encoding="utf-8"))["dev"]["max_length"]
    assert max(len(row["input_ids"]) for row in rows) == longest, "no row is cut"
    assert distance(from_texts(folder, rows, longest), theirs) <= TOLERANCE
