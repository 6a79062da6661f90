"""Writes fixtures/mlx-quantize.json: what mx.quantize gives on the CPU, as bits.

The inputs are written beside the results, so that the test depends on no generator.
Usage: python peers/golden_quantize.py fixtures/mlx-quantize.json
"""

import json
import sys

import mlx.core as mx
import numpy as np

DTYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


def bits(array):
    """The bits of the array's numbers, widened to f32 (which is exact), as unsigned integers."""
    return np.array(array.astype(mx.float32)).reshape(-1).view(np.uint32).tolist()


def inputs():
    """Rows of 128 numbers: ordinary weights, then the groups where the arithmetic is delicate."""
    rng = np.random.default_rng(20261124)
    rows = [
        rng.normal(0, 0.03, 128),
        rng.standard_cauchy(128) * 0.01,
        rng.uniform(-1, 1, 128),
        np.zeros(128),
        -np.zeros(128),
        np.full(128, 0.1),
        np.full(128, -7.5),
        np.full(128, 3e4),
        np.full(128, 2e-8),
        np.linspace(-1, 1, 128),
        np.arange(128) - 64.0,
        np.where(np.arange(128) % 33 == 0, 50.0, 1e-3),
        rng.normal(0, 1e-7, 128),
        rng.normal(1000, 0.5, 128),
        np.ldexp(1.0, rng.integers(-14, 14, 128)),
        np.where(np.arange(128) % 2 == 0, 6e-5, 5.9e-8),
        # Half-way between fp4 values; just above the largest of a scale; far too small; far too large.
        np.tile([6, 0.25, -0.25, 0.75, 1.25, -1.75, 2.5, -2.5, 3.5, 5, -5, 0.2, -0.1, 4, -6, 0.5], 8) * 4,
        np.where(np.arange(128) % 16 == 0, 6.0 * 2.0 ** (np.arange(128) // 16) * (1 + 2.0 ** -7), 0.3),
        np.where(np.arange(128) % 32 == 5, 449.0, rng.normal(0, 20, 128)),
        rng.normal(0, 1e-39, 128),
        rng.normal(0, 5e3, 128),
    ]
    return np.stack(rows).astype(np.float32)


def main(path):
    mx.set_default_device(mx.cpu)
    source = inputs()
    cases = []
    for name, dtype in DTYPES.items():
        weights = mx.array(source).astype(dtype)
        for width in (2, 3, 4, 5, 6, 8):
            for group in (32, 64, 128):
                words, scales, biases = mx.quantize(weights, group_size=group, bits=width)
                restored = mx.dequantize(words, scales, biases, group_size=group, bits=width)
                cases.append({
                    "float": name,
                    "mode": "affine",
                    "bits": width,
                    "group_size": group,
                    "words": np.array(words).reshape(-1).tolist(),
                    "scales": bits(scales),
                    "biases": bits(biases),
                    # The restored numbers would be most of the file: their sum as integers stands for them.
                    "restored_sum": sum(bits(restored)),
                })
        for mode in ("mxfp4", "mxfp8", "nvfp4"):
            words, scales = mx.quantize(weights, mode=mode)
            restored = mx.dequantize(words, scales, mode=mode, dtype=dtype)
            cases.append({
                "float": name,
                "mode": mode,
                "words": np.array(words).reshape(-1).tolist(),
                "scales": np.array(scales).reshape(-1).tolist(),
                "restored_sum": sum(bits(restored)),
            })
    document = {
        "source": f"mx.quantize and mx.dequantize of mlx {mx.__version__}, CPU; numbers as f32 bits",
        "inputs": {name: bits(mx.array(source).astype(dtype)) for name, dtype in DTYPES.items()},
        "cases": cases,
    }
    with open(path, "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
