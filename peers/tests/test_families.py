"""The native engine against transformers: every family over a grid of settings, on random tiny models.

Token ids go straight to the engine, all rows in one call; transformers computes each row alone.
"""

import shutil

import numpy as np
import pytest
from tiny import build, grid
from tiny.families import SETTINGS
from tiny.refused import HARMLESS, every_refusal
from worker import Refused, Worker

# Relative to the largest number that transformers gives for the rows.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def native():
    worker = Worker()
    yield worker
    worker.close()


def distance(ours, theirs):
    """The largest difference, relative to the largest number of `theirs`."""
    assert ours.shape == theirs.shape and np.isfinite(theirs).all()
    return np.abs(ours - theirs).max() / np.abs(theirs).max()


@pytest.mark.parametrize(("kind", "name"), grid.every_line())
def test_the_native_engine_agrees_with_transformers(native, tmp_path, kind, name):
    line = SETTINGS[kind][name]
    folder = grid.folder(tmp_path / name, kind, line)
    model = grid.reference(folder, line)
    ids, segments = grid.rows(model.config, line)
    theirs = grid.answers(model, line, ids, segments)
    info = native.load(folder)
    assert info["output"] == ("logits" if grid.is_classifier(line) else "embedding")
    assert distance(native.predict(ids, segments), theirs) <= TOLERANCE


# Biases that softmax cancels: they add the same to all scores of a query.
CANCELLED = ("key.bias", "k.bias", "k_lin.bias", "k_proj.bias", "pos_key_proj.bias")


def is_idle(name, model, line):
    """Whether no output of the line depends on this tensor."""
    kind = model.config.model_type
    return (
        name.endswith(CANCELLED)
        or kind == "deberta-v2" and name.endswith("key_proj.bias") and "p2c" not in (
            model.config.pos_att_type or [] if model.config.relative_attention else [])
        or not grid.is_classifier(line) and name.startswith("pooler.")
        # The norm's bias gives the same to all positions, and c2p a score to positions only.
        or name.endswith("encoder.LayerNorm.bias") and model.config.pos_att_type == ["c2p"]
        or any(part in name for part in line.get("unused", []))
    )


def lines_of_structure():
    """The lines that change the computation by more than an activation function or the form of the file."""
    plain = {"config", "head", "unused", "longest", "seed"}
    return [(kind, name) for kind, name in grid.every_line()
            if set(SETTINGS[kind][name]) <= plain and "hidden_act" not in SETTINGS[kind][name].get("config", {})]


@pytest.mark.parametrize(("kind", "name"), lines_of_structure())
def test_the_comparison_sees_every_tensor(tmp_path, kind, name):
    """A tensor whose rows are exchanged moves what transformers gives by several times what is tolerated."""
    line = SETTINGS[kind][name]
    model = grid.reference(grid.folder(tmp_path / name, kind, line), line)
    ids, segments = (rows[:6:2] for rows in grid.rows(model.config, line))
    theirs = grid.answers(model, line, ids, segments)
    unseen = []
    for tensor, value in model.named_parameters():
        if is_idle(tensor, model, line):
            continue
        kept = value.data
        value.data = kept.roll(1, 0) if len(kept) > 1 else -kept
        if distance(grid.answers(model, line, ids, segments), theirs) < 5 * TOLERANCE:
            unseen.append(tensor)
        value.data = kept
    assert unseen == []


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The folder of a model type's first line, made once."""
    made = {}

    def folder(kind):
        if kind not in made:
            path = tmp_path_factory.mktemp("plain") / kind
            made[kind] = grid.folder(path, kind, next(iter(SETTINGS[kind].values())))
        return made[kind]
    return folder


def with_keys(source, folder, keys):
    """A copy of `source` with `keys` in its config.json."""
    shutil.copytree(source, folder)
    build.write(folder / "config.json", build.read(folder / "config.json") | keys)
    return folder


@pytest.mark.parametrize(("kind", "keys"), every_refusal(), ids=lambda value: str(value).strip("{}"))
def test_what_cannot_be_honoured_is_refused_by_name(native, plain, tmp_path, kind, keys):
    folder = with_keys(plain(kind), tmp_path / "changed", keys)
    with pytest.raises(Refused, match=f"^config.json: `{next(iter(keys))}`|rope_type"):
        native.load(folder)


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_of_training_change_nothing(native, plain, tmp_path, kind):
    line = next(iter(SETTINGS[kind].values()))
    folder = with_keys(plain(kind), tmp_path / "changed", HARMLESS)
    model = grid.reference(folder, line)
    ids, segments = grid.rows(model.config, line)
    native.load(folder)
    assert distance(native.predict(ids, segments), grid.answers(model, line, ids, segments)) <= TOLERANCE


def other_tables(tensors, names):
    """The tensors with the shared table stored again under `names`, each time with other numbers."""
    table = tensors["model.shared.weight"]
    return tensors | {name: table.roll(place + 1, 0) for place, name in enumerate(names)}


TABLES = ["model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"]


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("names", [TABLES, TABLES[:1], TABLES[1:]], ids=["both", "encoder", "decoder"])
def test_tables_of_bart_that_are_not_one_are_refused(native, plain, tmp_path, names, tied):
    """transformers keeps them apart where their numbers differ, whatever `tie_word_embeddings` says."""
    folder = with_keys(plain("bart"), tmp_path / "changed", {"tie_word_embeddings": tied})
    build.one_file(folder, lambda tensors: other_tables(tensors, names))
    with pytest.raises(Refused, match="embed_tokens|tie_word_embeddings"):
        native.load(folder)
