"""Converted to 8 bits, the families compute what transformers computes with the same weights restored.

The weights are restored here by MLX, in float32, so that quantization has no part in what is left.
"""

import os

import folders
import mlx.core as mx
import numpy as np
import pytest
from conftest import mlxq
from safetensors.numpy import save_file
from tiny import build, grid
from tiny.families import SETTINGS
from worker import Worker

# Groups of 32 fit everywhere but in the tables of positions, whose sizes are as they are.
WIDE = {
    "bert": {"hidden_size": 64, "intermediate_size": 96}, "distilbert": {"dim": 64, "hidden_dim": 96},
    "bart": {"d_model": 64, "encoder_ffn_dim": 96, "decoder_ffn_dim": 128},
    "mobilebert": {"hidden_size": 64, "intermediate_size": 96, "embedding_size": 32},
}
LINES = {
    "bert": ["plain", "embedding-of-mlm"], "roberta": ["padding-5", "embedding"],
    "xlm-roberta": ["plain", "embedding"], "distilbert": ["sinusoidal", "embedding"],
    "mpnet": ["plain", "embedding"], "mobilebert": ["plain", "layer-norm", "embedding"],
    "deberta-v2": ["v3", "v2-conv", "embedding"], "modernbert": ["biases", "embedding"],
    "bart": ["scaled", "embedding-mean"],
}


# Largest difference, relative to the largest number: with activations in float32 what every family has
# against its original, with integers of 16 bits what their rounding adds in models this small.
TOLERANCE = {"32": 1e-4, "16": 5e-4}


@pytest.fixture(scope="module", params=TOLERANCE)
def native(request):
    worker = Worker(command=[os.environ["MLXQ"], "worker", "--activations", request.param])
    worker.tolerance = TOLERANCE[request.param]
    yield worker
    worker.close()


def restored(converted, folder):
    """The converted folder with floats in place of packed weights, as a checkpoint of transformers."""
    config = folders.read(converted / "config.json")
    quantization = config.pop("quantization_config")
    assert config.pop("quantization") == quantization
    how = {key: quantization[key] for key in ("group_size", "bits")}
    mx.set_default_device(mx.cpu)
    stored = mx.load(str(converted / "model.safetensors"))
    packed = [name.removesuffix(".scales") for name in stored if name.endswith(".scales")]
    assert len(packed) >= 8, packed
    for module in packed:
        scales, biases = (stored.pop(f"{module}.{part}").astype(mx.float32) for part in ("scales", "biases"))
        stored[f"{module}.weight"] = mx.dequantize(stored[f"{module}.weight"], scales, biases, **how)
    floats = {name: np.array(value.astype(mx.float32)) for name, value in stored.items()}
    folder.mkdir()
    save_file(floats, folder / "model.safetensors", {"format": "pt"})
    build.write(folder / "config.json", config)
    return folder


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in LINES for name in LINES[kind]])
def test_what_is_left_is_quantization_alone(native, tmp_path, kind, name):
    line = SETTINGS[kind][name]
    line = line | {"config": line.get("config", {}) | WIDE.get(kind, WIDE["bert"])}
    source, converted = grid.folder(tmp_path / "source", kind, line), tmp_path / "converted"
    build.tokenizer(source)
    mlxq("convert", "--hf-path", source, "--mlx-path", converted, "--q-bits", 8, "--q-group-size", 32)
    model = grid.reference(restored(converted, tmp_path / "restored"), line)
    ids, segments = grid.rows(model.config, line)
    theirs = grid.answers(model, line, ids, segments)
    native.load(converted)
    ours = native.predict(ids, segments)
    assert np.abs(ours - theirs).max() <= native.tolerance * np.abs(theirs).max()
    cosines = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert cosines.min() >= 1 - 1e-6
    # The comparison would see quantization, were it left out on one side.
    unquantized = grid.answers(grid.reference(source, line), line, ids, segments)
    assert np.abs(ours - unquantized).max() > 1e-3 * np.abs(theirs).max()
