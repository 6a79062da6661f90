"""A real decoder, SmolLM2-135M-Instruct: mlx_lm's conversion and ours, and what both answer."""

import os
from pathlib import Path

import folders
import mlx.core as mx
import pytest
from conftest import mlxq
from mlx_lm import generate, load
from mlx_lm_peer import convert, differences_in_files

QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def smollm2():
    folder = os.environ.get("MLXQ_SMOLLM2")
    if not folder:
        pytest.skip("needs SmolLM2-135M-Instruct (MLXQ_SMOLLM2)")
    return Path(folder)


def both(source, tmp_path, **how):
    """The folders of mlx_lm's conversion and of ours."""
    theirs = convert(source, tmp_path / "theirs", quantize=True, q_group_size=64, **how)
    ours = tmp_path / "ours"
    options = [word for key, value in how.items() for word in ("--" + key.replace("_", "-"), value)]
    mlxq("convert", "--hf-path", source, "--mlx-path", ours, "--q-group-size", 64, *options)
    return ours, theirs


@pytest.mark.parametrize("bits", [8, 4])
def test_the_conversion_is_that_of_mlx_lm(smollm2, tmp_path, bits):
    ours, theirs = both(smollm2, tmp_path, q_bits=bits)
    assert differences_in_files(ours, theirs, smollm2) == []
    assert folders.of_files(ours, smollm2, ["chat_template.jinja"]) == []


def answer(folder):
    """mlx_lm's greedy answer to the question."""
    mx.set_default_device(mx.cpu)
    model, tokenizer = load(str(folder))
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}], add_generation_prompt=True)
    return generate(model, tokenizer, prompt, max_tokens=8)


def test_the_answer_is_that_of_mlx_lm(smollm2, tmp_path):
    # In float32, for MLX's products of halves are forty times slower on this device.
    ours, theirs = both(smollm2, tmp_path, q_bits=8, dtype="float32")
    said = answer(ours)
    assert said == answer(theirs)
    assert "Paris" in said
