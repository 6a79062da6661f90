"""The f32 reference and the 8-bit model, against sentence-transformers and scipy."""

import numpy as np
import pytest
from conftest import predict
from scipy.stats import spearmanr


def embeddings(model, texts):
    return np.array([answer["embedding"] for answer in predict(model, texts)])


def test_embeddings_equal_those_of_sentence_transformers(minilm, texts):
    from sentence_transformers import SentenceTransformer

    peer = SentenceTransformer(str(minilm), device="cpu", model_kwargs={"dtype": "float32"})
    lengths = [len(ids) for ids in peer.tokenizer(texts, truncation=True, max_length=512)["input_ids"]]
    assert sum(length > 256 for length in lengths) >= 20 and min(lengths) == 2
    theirs = peer.encode(texts, normalize_embeddings=True, batch_size=16)
    ours = embeddings(minilm, texts)
    assert len(texts) == 500 and ours.shape == theirs.shape
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosine.min() >= 0.999999, (cosine.min(), texts[int(cosine.argmin())][:80])
    assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


def stsb(path):
    """Tab-separated, no header, no quoting; sentences in columns 5 and 6, scores in 4."""
    rows = [line.rstrip("\n").split("\t") for line in path.open(encoding="utf-8")]
    return [row[5] for row in rows], [row[6] for row in rows], [float(row[4]) for row in rows]


def correlation(model, rows):
    first, second, scores = rows
    a, b = embeddings(model, first), embeddings(model, second)
    cosine = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return spearmanr(cosine, scores).statistic


# The expected figures are sentence-transformers' own on these files (f32, 256 tokens).
@pytest.mark.parametrize(("split", "expected"), [("dev", 0.8672), ("test", 0.8203)])
def test_sts_benchmark(minilm, converted, shared, split, expected):
    rows = stsb(shared / f"data/stsb/sts-{split}.csv")
    reference = correlation(minilm, rows)
    assert round(reference, 4) == expected
    assert abs(correlation(converted, rows) - reference) <= 0.002


def test_nli_classifier_makes_the_recorded_decisions(shared):
    """models/bert-nli: 615 of 1000 rows right with transformers, by its TRAINING.json."""
    import json

    rows = [json.loads(line) for line in (shared / "models/dev/snli-dev-tail.jsonl").open(encoding="utf-8")]
    answers = predict(shared / "models/bert-nli", [(row["premise"], row["hypothesis"]) for row in rows])
    right = sum(answer["label"] == row["label"] for answer, row in zip(answers, rows, strict=True))
    assert (right, len(rows)) == (615, 1000)
