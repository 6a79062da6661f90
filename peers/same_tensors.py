"""Compares the tensors of two folders byte for byte; ends with 1 where they differ."""

import sys
from pathlib import Path

import mlx.core as mx


def tensors(folder):
    found = {}
    for file in sorted(Path(folder).glob("model*.safetensors")):
        found |= mx.load(str(file))
    return found


mx.set_default_device(mx.cpu)
ours, theirs = map(tensors, sys.argv[1:])
if set(ours) != set(theirs):
    sys.exit(f"names differ: {sorted(set(ours) ^ set(theirs))[:5]}")
for name, tensor in ours.items():
    other = theirs[name]
    same = tensor.dtype == other.dtype and tensor.shape == other.shape
    if not same or not mx.array_equal(tensor.view(mx.uint8), other.view(mx.uint8)):
        sys.exit(f"{name} differs")
print(f"{len(ours)} tensors, byte for byte the same")
