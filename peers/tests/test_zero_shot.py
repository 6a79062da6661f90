"""Answers of classification heads and zero-shot classification, against transformers' pipelines, live."""

import json
import os
import subprocess

import numpy as np
import pytest
from conftest import predict

TEXTS = [
    "A dog runs across a wet field with a ball in its mouth.",
    "Two men are cooking dinner in a small kitchen.",
    " ",
    "?!",
    "東京 🙂 naïve café",
    "The woman reads a book on the train. " * 40,  # longer than every model here takes
]
LABELS = "sports, cooking, animals, people outside, a rather long label of several words"


@pytest.fixture(scope="module", params=["bert-nli", "deberta-v3-nli-binary", "bart-nli"])
def nli(request, shared):
    """A model's folder, and transformers' pipeline for it."""
    from transformers import pipeline

    folder = shared / "models" / request.param
    return folder, pipeline("zero-shot-classification", model=str(folder), device="cpu", dtype="float32")


def ask(folder, texts, *options, codes=(0,)):
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    done = subprocess.run(
        [os.environ["MLXQ"], "predict", folder, "--input", "-", *options],
        input=lines, capture_output=True, text=True,
    )
    assert done.returncode in codes, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def check(ours, theirs):
    """Equal but for rounding: labels may change places only where their scores do not differ."""
    assert list(ours) == ["sequence", "labels", "scores"] == list(theirs)
    assert ours["sequence"] == theirs["sequence"]
    assert np.abs(np.subtract(ours["scores"], theirs["scores"])).max() <= 1e-4
    for place, (a, b) in enumerate(zip(ours["labels"], theirs["labels"], strict=True)):
        assert a == b or abs(ours["scores"][ours["labels"].index(b)] - ours["scores"][place]) <= 2e-4


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("labels", [LABELS, "sports", "sports,,  cooking ,", "cat, cat, dog"])
def test_scores_equal_those_of_the_pipeline(nli, labels, multi_label):
    folder, pipe = nli
    ours, errors = ask(folder, TEXTS, "--candidate-labels", labels, *["--multi-label"] * multi_label)
    theirs = pipe(TEXTS, candidate_labels=labels, multi_label=multi_label)
    for a, b in zip(ours, theirs, strict=True):
        check(a, b)
    longest = pipe.tokenizer.model_max_length
    hypotheses = [f"This example is {label}." for label in pipe._args_parser._parse_labels(labels)]
    cut = sum(any(len(pipe.tokenizer(text, h)["input_ids"]) > longest for h in hypotheses) for text in TEXTS)
    assert cut >= (longest <= 128)
    assert (f"{cut} of {len(TEXTS)} rows were cut to {longest} tokens" in errors) == (cut > 0), errors


@pytest.mark.parametrize("template", ["{}", "This text is about {}, is it not?", "{0}: {0} {{x}}"])
def test_templates(nli, template):
    folder, pipe = nli
    ours, _ = ask(folder, TEXTS, "--candidate-labels", LABELS, "--hypothesis-template", template)
    for a, b in zip(ours, pipe(TEXTS, candidate_labels=LABELS, hypothesis_template=template), strict=True):
        check(a, b)


@pytest.mark.parametrize("multi_label", [False, True])
def test_of_equal_labels_the_later_comes_first(shared, multi_label):
    """The tokenizer of bert-nli lower-cases: labels that differ in case are the same to the model.

    The pipeline sorts with numpy's argsort, which with AVX2 or AVX-512 is not stable: which of equals comes
    first depends on the machine and on the other labels. Its rule with a stable sort is what is defined here.
    """
    from transformers import pipeline

    folder, labels = shared / "models/bert-nli", "Sports, sports, cat, SPORTS, Cat"
    pipe = pipeline("zero-shot-classification", model=str(folder), device="cpu", dtype="float32")
    ours, _ = ask(folder, TEXTS, "--candidate-labels", labels, *["--multi-label"] * multi_label)
    for a, b in zip(ours, pipe(TEXTS, candidate_labels=labels, multi_label=multi_label), strict=True):
        check(a, b)
        names = labels.split(", ")
        scores = np.array([b["scores"][b["labels"].index(name)] for name in names])
        assert len(set(scores)) == 2, "transformers gives equal labels equal scores"
        assert a["labels"] == [names[i] for i in reversed(scores.argsort(kind="stable"))]


def test_what_the_pipeline_refuses_is_refused(nli):
    folder, pipe = nli
    for text, labels, template, code in [
        ("a text", " , ", "{}", 2), ("a text", "a", "no place", 2), ("", "a", "{}", 3),
        ("a text", "a", "{} and {}", 2), ("a text", "a", "{label}", 2), ("a text", "a", "}", 2),
    ]:
        with pytest.raises((ValueError, IndexError, KeyError)):
            pipe(text, candidate_labels=labels, hypothesis_template=template)
        ask(folder, [text], "--candidate-labels", labels, "--hypothesis-template", template, codes=(code,))


@pytest.mark.parametrize("name", ["bert-goemotions", "minilm-reranker", "bert-nli"])
def test_scores_of_heads_equal_those_of_the_pipeline(shared, name):
    from transformers import pipeline

    folder = shared / "models" / name
    pipe = pipeline("text-classification", model=str(folder), device="cpu", dtype="float32")
    names = [pipe.model.config.id2label[i] for i in range(pipe.model.config.num_labels)]
    rows = [(text, None) for text in TEXTS] + [(text, "Somebody is happy about it.") for text in TEXTS]
    for (text, pair), answer in zip(rows, predict(folder, rows), strict=True):
        inputs = {"text": text} | ({} if pair is None else {"text_pair": pair})
        theirs = {x["label"]: x["score"] for x in pipe(inputs, top_k=None, truncation=True)}
        expected = [theirs[name] for name in names]
        assert np.abs(np.subtract(answer["scores"], expected)).max() <= 1e-4
        if name == "bert-nli":
            assert answer["label"] == max(theirs, key=theirs.get)
        elif name == "bert-goemotions":
            assert answer["labels"] == [name for name in names if theirs[name] > 0.5]
        else:
            assert set(answer) == {"logits", "scores"}
