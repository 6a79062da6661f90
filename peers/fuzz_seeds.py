"""Makes the seeds of the fuzz targets: small files as torch, safetensors and transformers write them.

Usage: python peers/fuzz_seeds.py fuzz/corpus
"""

import io
import json
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
          torch.int8, torch.uint8, torch.bool, torch.uint16]


def states():
    """State dicts by name, each small."""
    plain = OrderedDict(a=torch.arange(6.0).reshape(2, 3), b=torch.ones(2, dtype=torch.float16))
    plain._metadata = OrderedDict({"": {"version": 1}})
    base = torch.arange(24.0).reshape(4, 6)
    yield "plain", plain
    yield "dtypes", {str(dtype): torch.ones(3).to(dtype) for dtype in DTYPES}
    yield "views", {"t": base.T, "part": base[1:, 2:4], "row": base[2], "wide": base[:1].expand(3, 6), "all": base}
    yield "parameters", {"p": torch.nn.Parameter(base), "scalar": torch.tensor(1.5), "none": torch.zeros(0, 3)}
    yield "wrapped", {"epoch": 3, "lr": 1e-3, "state_dict": {"a": base, "n": None}, "seen": {1, 2}, "args": (1, "x")}


def saved(state, **how):
    buffer = io.BytesIO()
    torch.save(state, buffer, **how)
    return buffer.getvalue()


def main(root):
    def write(target, name, content):
        folder = root / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    for name, state in states():
        zipped = saved(state)
        write("zip_directory", f"{name}-zip", zipped)
        write("zip_directory", f"{name}-legacy", saved(state, _use_new_zipfile_serialization=False))
        write("pickle", name, zipfile.ZipFile(io.BytesIO(zipped)).read("archive/data.pkl"))
    for dtypes in (DTYPES[:4], DTYPES):
        tensors = {str(dtype): torch.ones(2, 3).to(dtype) for dtype in dtypes}
        write("safetensors_header", f"{len(dtypes)}", save(tensors, metadata={"format": "pt"}))
    write("safetensors_header", "none", save({}))
    for file in Path("fixtures").glob("*/config.json"):
        write("config", file.parent.name, file.read_bytes())
    names = {f"layer.{i}.weight": f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}
    write("config", "index", json.dumps({"metadata": {"total_size": 8}, "weight_map": names}).encode())
    for block in ({"bits": 4, "group_size": 64, "a.b": {"bits": 8, "group_size": 32}, "c": False},
                  {"bits": 4, "group_size": 32, "mode": "mxfp4"}):
        write("config", f"mlx-{len(block)}", json.dumps({"model_type": "bert", "quantization": block}).encode())
    gptq = {"quant_method": "gptq", "bits": 4}
    write("config", "gptq", json.dumps({"model_type": "bert", "quantization_config": gptq}).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
