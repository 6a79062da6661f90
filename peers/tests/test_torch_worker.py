"""The PyTorch worker, through its protocol, against what transformers and sentence-transformers gave or give.

`expected.jsonl` of the developers' models was recorded from transformers' own classes, with MobileBERT's rows
alone; the worker is asked in batches of mixed lengths, so that its padding and its groups are tested too.
"""

import json
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import LayerNorm
from tiny import build, grid
from tiny.families import SETTINGS
from worker import Refused, Worker

SCRIPT = ROOT / "crates/mlxq-engine/src/torch/worker.py"
NAMES = ["bart-nli", "bert-goemotions", "bert-nli", "deberta-v3-nli-binary", "distilbert-sst2", "minilm-reranker",
         "mobilebert-trec", "modernbert-agnews", "mpnet-emotion", "roberta-agnews", "sbert-tiny",
         "xlm-roberta-stsb"]
# Relative to the largest number of the rows.
TOLERANCE = 1e-5
SENTENCE = {"head": "base", "pooling": ["mean"]}


@pytest.fixture(scope="module")
def served():
    worker = Worker(command=[sys.executable, str(SCRIPT)])
    yield worker
    worker.close()


def distance(ours, theirs):
    """The largest difference, relative to the largest number of `theirs`."""
    assert ours.shape == theirs.shape and np.isfinite(theirs).all()
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("name", NAMES)
def test_recorded_ids_give_the_recorded_numbers(served, shared, name, batch):
    folder = shared / "models" / name
    lines = (folder / "expected.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    theirs = np.array([row.get("logits") or row["embedding"] for row in rows])
    served.load(folder)
    ids = [row["input_ids"] for row in rows]
    segments = [row.get("token_type_ids") or [0] * len(row["input_ids"]) for row in rows]
    assert len(rows) == 50 and len({len(row) for row in ids}) > 7
    assert distance(served.predict(ids, segments, batch), theirs) <= TOLERANCE


# MobileBERT's tokens read their neighbours; BART's head wants one number of ends in all rows.
@pytest.mark.parametrize(("kind", "name"), [("mobilebert", "plain"), ("bart", "plain"), ("bert", "plain")])
def test_rows_of_a_batch_are_those_computed_alone(served, tmp_path, kind, name):
    line = SETTINGS[kind][name]
    folder = grid.folder(tmp_path / name, kind, line)
    model = grid.reference(folder, line)
    ids, segments = grid.rows(model.config, line)
    served.load(folder)
    alone = grid.answers(model, line, ids, segments)
    assert distance(served.predict(ids, segments), alone) <= TOLERANCE


def sentence_folder(path, modules):
    """A BERT of width 48 whose vectors, pooled by their mean, go through `modules` of sentence-transformers."""
    grid.folder(path, "bert", SENTENCE)
    listed = build.read(path / "modules.json")
    for place, module in enumerate(modules, len(listed)):
        kind = type(module).__name__
        part = path / f"{place}_{kind}"
        part.mkdir()
        # The older of the two files for every other module.
        module.save(str(part), safe_serialization=place % 2 == 0)
        named = f"sentence_transformers.models.{kind}"
        listed.append({"idx": place, "name": str(place), "path": part.name, "type": named})
    build.write(path / "modules.json", listed)
    return path


def random_modules():
    """Both kinds of residual, with and without bias, a default activation and another, norm and length 1."""
    torch.manual_seed(5)
    modules = [
        Dense(48, 20, use_residual=True), LayerNorm(20),
        Dense(20, 20, bias=False, activation_function=torch.nn.GELU(), use_residual=True),
        Dense(20, 12, activation_function=torch.nn.Identity()), Normalize(),
    ]
    for parameter in [p for module in modules for p in module.parameters()]:
        torch.nn.init.normal_(parameter, std=0.5)
    return modules


def test_modules_behind_the_pooling_are_those_of_sentence_transformers(served, tmp_path):
    modules = random_modules()
    folder = sentence_folder(tmp_path / "model", modules)
    assert {path.name for path in folder.glob("*_Dense/*")} >= {"model.safetensors", "pytorch_model.bin"}
    model = grid.reference(folder, SENTENCE)
    ids, segments = grid.rows(model.config, SENTENCE)
    features = {"sentence_embedding": torch.from_numpy(grid.answers(model, SENTENCE, ids, segments))}
    with torch.inference_mode():
        for module in modules:
            features = module(features)
    served.load(folder)
    assert distance(served.predict(ids, segments), features["sentence_embedding"].numpy()) <= TOLERANCE


@pytest.mark.parametrize("named", ["os.system", "torch.nn.functional.relu", "torch.nn.Nothing"])
def test_an_activation_that_is_no_module_of_torch_is_refused(served, tmp_path, named):
    folder = sentence_folder(tmp_path / "model", [Dense(48, 20)])
    settings = build.read(folder / "2_Dense/config.json")
    build.write(folder / "2_Dense/config.json", settings | {"activation_function": named})
    with pytest.raises(Refused, match="activation function"):
        served.load(folder)


# Rows of 3, 5 and 3 tokens in one call: padded to 5 each, or computed as 2 x 3 and 1 x 5.
@pytest.mark.parametrize(("kind", "computed"), [("bert", 15), ("mobilebert", 11)])
def test_padding_is_counted_as_it_is_computed(served, tmp_path, kind, computed):
    served.load(grid.folder(tmp_path / kind, kind, SETTINGS[kind]["plain"]))
    served.predict([[5, 6, 7], [5, 6, 7, 8, 9], [7, 6, 5]])
    reply, _ = served.ask("time", start=0, end=3, batch=3)
    assert (reply["tokens"], reply["padded_tokens"]) == (11, computed)
