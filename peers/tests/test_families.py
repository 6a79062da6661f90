"""The native engine against transformers: every family over a grid of settings, on random tiny models.

Token ids go straight to the engine, all rows in one call; transformers computes each row alone.
"""

import numpy as np
import pytest
import torch
from tiny import grid
from tiny.families import SETTINGS
from worker import Worker

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
