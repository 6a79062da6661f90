"""Writes fixtures/mlx-quantize.json: what mx.quantize, mx.dequantize and casts give on the CPU.

Arrays are the base64 of their little-endian bytes, as they stand in files. The inputs are written beside
the results, so that the test depends on no generator.
Usage: python peers/golden_quantize.py fixtures/mlx-quantize.json
"""

import base64
import json
import sys

import mlx.core as mx
import numpy as np

DTYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}
AFFINE = [{"mode": "affine", "bits": bits, "group_size": size}
          for bits in (2, 3, 4, 5, 6, 8) for size in (32, 64, 128)]
FLOATING = [{"mode": mode} for mode in ("mxfp4", "mxfp8", "nvfp4")]
# What stands for all formats where the numbers are rounded to another dtype first.
ROUNDED = [{"mode": "affine", "bits": 8, "group_size": 64}, {"mode": "mxfp8"}]


def raw(array):
    """The array's bytes."""
    if isinstance(array, mx.array):
        integers = {4: mx.uint32, 2: mx.uint16, 1: mx.uint8}[array.dtype.size]
        array = np.array(array.view(integers))
    return array.tobytes()


def text(array):
    return base64.b64encode(raw(array)).decode()


def fnv(array):
    """FNV-1a of the bytes, for what would be most of the file; NaNs count as one and the same."""
    if mx.issubdtype(array.dtype, mx.floating):
        array = mx.where(mx.isnan(array), mx.array(float("nan"), mx.float32), array.astype(mx.float32))
        array = mx.where(mx.isnan(array), mx.array(0x7FC00000, mx.uint32), array.view(mx.uint32))
    value = 0xCBF29CE484222325
    for byte in raw(array):
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{value:016x}"


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
        rng.choice([-3e38, 3e38, 1e38], 128),
        rng.normal(0, 1e9, 128),
    ]
    # What is not a number stands in otherwise ordinary rows, zeros of both signs among them.
    for first, second in [(np.nan, np.nan), (np.inf, np.inf), (-np.inf, -np.inf), (np.inf, -np.inf),
                          (np.nan, -np.inf), (-np.nan, np.inf), (7e4, -3.4e38)]:
        row = np.round(rng.normal(0, 3, 128)) / 4
        row[5], row[70], row[9] = first, second, -0.0
        rows.append(row)
    rows.append(np.full(128, np.nan))
    return np.stack(rows).astype(np.float32)


def patterns():
    """f32 of all magnitudes, half-way cases of f16 and bf16, NaNs and infinities."""
    rng = np.random.default_rng(20261125)
    random = rng.integers(0, 2**32, 500, dtype=np.uint32)
    near_f16 = rng.integers(0x32000000, 0x48000000, 500, dtype=np.uint32) & np.uint32(0xFFFFF000)
    near_bf16 = rng.integers(0, 2**32, 500, dtype=np.uint32) & np.uint32(0xFFFF8000)
    special = np.array([0, 0x80000000, 1, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF,
                        0x477FEFFF, 0x477FF000, 0x33000000, 0x33000001, 0x7F7F7FFF, 0x7F7F8000], np.uint32)
    return mx.array(np.concatenate([random, near_f16, near_f16 | 1, near_bf16, special])).view(mx.float32)


def quantized(source, from_name, to_name, options):
    """A case: the rows in one dtype, cast to another, quantized and restored."""
    weights = source.astype(DTYPES[from_name]).astype(DTYPES[to_name])
    words, scales, *biases = mx.quantize(weights, **options)
    case = {"from": from_name, "to": to_name, **options, "scales": text(scales)}
    # Most of the file would be words: where they differ by the group size alone their hash will do.
    if from_name == to_name and options.get("group_size") in (64, None):
        case["words"] = text(words)
    else:
        case["words_fnv"] = fnv(words)
    if biases:
        case["biases"] = text(biases[0])
        restored = mx.dequantize(words, scales, *biases, **options)
    else:
        restored = mx.dequantize(words, scales, **options, dtype=DTYPES[to_name])
    finite = mx.all(mx.isfinite(weights), axis=1)
    return {**case, "restored_fnv": fnv(restored), "finite_rows": "".join("01"[row] for row in finite.tolist())}


def casts():
    """All numbers of the halves and some of f32, cast to each other."""
    halves = mx.array(np.arange(2**16, dtype=np.uint16))
    sources = {"f32": patterns(), "f16": halves.view(mx.float16), "bf16": halves.view(mx.bfloat16)}
    for from_name, source in sources.items():
        for to_name, dtype in DTYPES.items():
            # Bits, so that NaNs count with theirs.
            bits = source.astype(dtype).view(mx.uint32 if dtype == mx.float32 else mx.uint16)
            yield {"from": from_name, "to": to_name, "fnv": fnv(bits)}


def main(path):
    mx.set_default_device(mx.cpu)
    source = mx.array(inputs())
    cases = [quantized(source, name, name, options) for name in DTYPES for options in AFFINE + FLOATING]
    cases += [quantized(source, first, second, options)
              for first in DTYPES for second in DTYPES if first != second for options in ROUNDED]
    document = {
        "source": f"mx.quantize, mx.dequantize and astype of mlx {mx.__version__}, CPU",
        "inputs": {name: text(source.astype(dtype)) for name, dtype in DTYPES.items()},
        "cases": cases,
        "cast_f32": text(patterns()),
        "casts": list(casts()),
    }
    with open(path, "w") as file:
        json.dump(document, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main(sys.argv[1])
