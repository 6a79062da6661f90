"""A converted all-MiniLM-L6-v2, against mlx and mlx-embeddings themselves."""

import json

import mlx.core as mx
import numpy as np
import pytest
from conftest import ROOT, mlxq, predict
from safetensors import safe_open


def same_bits(ours, theirs):
    return ours.dtype == theirs.dtype and ours.shape == theirs.shape and bool(mx.all(
        ours.view(mx.uint8) == theirs.view(mx.uint8)
    ))


def compare_with_mlx(source, converted, dtype=mx.float16, **how):
    """Compares every tensor of a converted folder, bit for bit; the number of quantized ones."""
    mx.set_default_device(mx.cpu)
    ours = mx.load(str(converted / "model.safetensors"))
    seen, quantized = set(), 0
    for name, weight in mx.load(str(source / "model.safetensors")).items():
        if name == "embeddings.position_ids":  # an index, no weight
            continue
        weight = weight.astype(dtype)
        module = name.removesuffix(".weight")
        if f"{module}.scales" not in ours:
            assert same_bits(ours[name], weight), name
            seen.add(name)
            continue
        quantized += 1
        parts = ("weight", "scales", "biases")
        for part, expected in zip(parts, mx.quantize(weight, **how), strict=False):
            assert same_bits(ours[f"{module}.{part}"], expected), f"{module}.{part}"
            seen.add(f"{module}.{part}")
    assert seen == set(ours), set(ours) ^ seen
    block = json.loads((converted / "config.json").read_text())["quantization"]
    assert block == {"mode": "affine"} | how, block
    return quantized


def test_every_tensor_has_the_bits_of_mx_quantize(minilm, converted):
    quantized = compare_with_mlx(minilm, converted, group_size=64, bits=8)
    # 6 layers of 6 matrices and three embedding tables; the pooler is a head, which stays in float
    assert quantized == 6 * 6 + 3


FORMATS = [("affine", bits, size) for bits in (2, 3, 4, 5, 6, 8) for size in (32, 64, 128)]
FORMATS += [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(("mode", "bits", "group_size"), FORMATS)
def test_every_format_has_the_bits_of_mx_quantize(tmp_path, mode, bits, group_size, dtype):
    source, folder = ROOT / "fixtures/tiny-bert-embed", tmp_path / "out"
    mlxq("convert", "--hf-path", source, "--mlx-path", folder, "--dtype", dtype,
         "--q-mode", mode, "--q-bits", bits, "--q-group-size", group_size)
    how = {"mode": mode, "bits": bits, "group_size": group_size}
    quantized = compare_with_mlx(source, folder, getattr(mx, dtype), **how)
    # Two layers of six matrices and three tables; of 128 columns there are only the two of output.dense.
    assert quantized == (2 if group_size == 128 else 2 * 6 + 3)


def test_files_beside_the_weights_are_byte_for_byte(minilm, converted):
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json",
                 "modules.json", "sentence_bert_config.json"):
        assert (minilm / name).read_bytes() == (converted / name).read_bytes(), name
    index = json.loads((converted / "model.safetensors.index.json").read_text())
    with safe_open(converted / "model.safetensors", "np") as file:
        assert set(index["weight_map"]) == set(file.keys())
        assert file.metadata() == {"format": "mlx"}


def test_mlx_embeddings_loads_the_folder_and_agrees(converted, texts):
    from mlx_embeddings import load

    mx.set_default_device(mx.cpu)
    rows = [text for text in texts if text.strip()][:200]
    assert len(rows) == 200
    ours = np.array([answer["embedding"] for answer in predict(converted, rows)])
    model, tokenizer = load(str(converted))
    worst = 1.0
    for row, vector in zip(rows, ours, strict=True):
        # The tokenizer object that mlx-embeddings returns is transformers', whose maximum is 512.
        batch = tokenizer([row], return_tensors="mlx", padding=True, truncation=True, max_length=256)
        output = model(batch["input_ids"], attention_mask=batch["attention_mask"])
        theirs = np.array(output.text_embeds.astype(mx.float32))[0]
        cosine = theirs @ vector / np.linalg.norm(theirs) / np.linalg.norm(vector)
        worst = min(worst, float(cosine))
    assert worst >= 0.9999, worst
