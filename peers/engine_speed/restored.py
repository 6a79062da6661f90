"""A converted folder's weights as numbers: what an error that is not the format's is measured against."""

import json

import numpy as np
from safetensors.numpy import save_file
from safetensors.torch import load_file


def restore(converted, target):
    """Writes the folder `target` with every quantized matrix of `converted` as scale * code + bias in float32.

    (`mlxq convert --dequantize` rounds to the format of the scales, as MLX does.)
    """
    target.mkdir(parents=True)
    config = json.loads((converted / "config.json").read_text(encoding="utf-8"))
    quantization = config.pop("quantization")
    config.pop("quantization_config", None)
    tensors = {}
    for file in sorted(converted.glob("model*.safetensors")):
        # By torch, because NumPy has no bfloat16.
        tensors |= {name: (tensor.float() if tensor.is_floating_point() else tensor).numpy()
                    for name, tensor in load_file(file).items()}
    restored = {name: tensor for name, tensor in tensors.items() if not name.endswith((".scales", ".biases"))}
    for name in [name for name in tensors if name.endswith(".scales")]:
        path = name.removesuffix(".scales")
        own = quantization.get(path)
        settings = own if isinstance(own, dict) else quantization
        weight, biases = tensors[f"{path}.weight"], tensors[f"{path}.biases"]
        restored[f"{path}.weight"] = matrix(weight, tensors[name], biases, settings["bits"])
    save_file(restored, target / "model.safetensors", {"format": "pt"})
    (target / "config.json").write_text(json.dumps(config))


def matrix(words, scales, biases, bits):
    """MLX's affine format with 8, 4 or 2 bits: codes from the low bits of each word upwards."""
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    codes = (words[..., None] >> shifts) & np.uint32(2**bits - 1)
    groups = codes.reshape(*scales.shape, -1).astype(np.float64)
    values = groups * scales[..., None].astype(np.float64) + biases[..., None].astype(np.float64)
    return values.reshape(words.shape[0], -1).astype(np.float32)
