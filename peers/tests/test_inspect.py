"""Errors of converted models, against mx.dequantize and numpy on the tensors of transformers."""

import json

import mlx.core as mx
import numpy as np
import pytest
import torch
from conftest import mlxq
from safetensors.torch import load_file
from tiny import build

HOW = ["--q-bits", 4, "--q-group-size", 32]
EXPERTS = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}
# What is transposed on the way; in gpt2 all four matrices of a layer.
TRANSPOSED = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def dequantized(folder):
    """Every module's weight and every other tensor of a converted folder, restored by MLX, in float64."""
    mx.set_default_device(mx.cpu)
    block = json.loads((folder / "config.json").read_text())["quantization"]
    tensors = mx.load(str(folder / "model.safetensors"))
    found = {}
    for name, value in tensors.items():
        module, _, part = name.rpartition(".")
        if part in ("scales", "biases") and f"{module}.weight" in tensors:
            continue
        if f"{module}.scales" in tensors and part == "weight":
            how = block.get(module, block)
            value = mx.dequantize(value, tensors[f"{module}.scales"], tensors.get(f"{module}.biases"),
                                  group_size=how["group_size"], bits=how["bits"], mode=how["mode"])
            name = module
        found[name] = np.array(value.astype(mx.float32)).astype(np.float64)
    return found


def arranged(folder, kind):
    """The tensors of a checkpoint as the MLX folder has them, in float64; written down here by hand."""
    tensors = {}
    for path in sorted(folder.glob("model*.safetensors")):
        tensors |= {name: value.to(torch.float64).numpy() for name, value in load_file(path).items()}
    if kind == "gpt2":
        tensors = {f"model.{name.removeprefix('transformer.')}": value for name, value in tensors.items()
                   if not name.endswith(".attn.bias")}
        return {name: value.T if name.endswith(TRANSPOSED) else value for name, value in tensors.items()}
    if kind == "mixtral":
        for layer in range(2):
            for old, new in EXPERTS.items():
                name = f"model.layers.{layer}.block_sparse_moe"
                parts = [tensors.pop(f"{name}.experts.{expert}.{old}.weight") for expert in range(4)]
                tensors[f"{name}.switch_mlp.{new}.weight"] = np.stack(parts)
    return tensors


def near(ours, theirs):
    return ours == pytest.approx(theirs, rel=1e-6, abs=0)


def check_error(ours, pairs):
    """Compares an error with that of pairs of restored and original numbers."""
    difference = sum(np.sum((a - b) ** 2) for a, b in pairs)
    assert near(ours["relative_rms"], np.sqrt(difference / sum(np.sum(b ** 2) for _, b in pairs)))
    assert near(ours["max_abs"], max(np.abs(a - b).max() for a, b in pairs))


CASES = [("llama", "untied", []), ("gpt2", "hub", []), ("mixtral", "odd", []),
         ("llama", "tied", ["--dtype", "float16"]), ("llama", "untied", ["--dtype", "bfloat16"]),
         ("bert", "embedding", []), ("bert", "classify", [])]
MODES = [["--q-mode", mode] for mode in ("mxfp4", "mxfp8", "nvfp4")]


@pytest.mark.parametrize(("kind", "name", "how"), [
    *[(kind, name, HOW + more) for kind, name, more in CASES], *[("llama", "untied", how) for how in MODES],
])
def test_errors_are_those_of_mlx_and_numpy(tmp_path, kind, name, how):
    make = build.encoder if kind == "bert" else build.decoder
    source, folder = make(tmp_path / "source", kind, name), tmp_path / "out"
    mlxq("convert", "--hf-path", source, "--mlx-path", folder, "-q", *how)
    found = json.loads(mlxq("inspect", folder, "--source", source, "--json"))
    restored, original = dequantized(folder), arranged(source, kind)
    assert {row["name"] for row in found["tensors"]} == set(restored)
    layers, everything = {}, []
    for row in found["tensors"]:
        packed = row["stored"]["quantization"]
        pair = restored[row["name"]], original[row["name"] + (".weight" if packed else "")]
        assert row["shape"] == list(pair[0].shape)
        check_error(row["error"], [pair])
        layers.setdefault(row["layer"], []).append(pair)
        everything.append(pair)
    for layer in found["layers"]:
        check_error(layer["error"], layers.pop(layer["layer"]))
    assert not layers
    check_error(found["total"]["error"], everything)
    assert any(row["error"]["relative_rms"] > 0.01 for row in found["tensors"])
