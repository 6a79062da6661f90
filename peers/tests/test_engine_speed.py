"""The arithmetic and the rows of `cargo xtask bench engine`, by hand; its times are nobody's test."""

import sys
from types import SimpleNamespace

import mlx.core as mx
import numpy as np
import pytest
from engine_speed import errors, restored, work
from engine_speed.__main__ import taken
from engine_speed.engines import EngineProcess
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer


def test_workloads_share_their_rows():
    rows = work.generated_rows(70)
    made, batches = work.workloads(rows, ["single", "stream", "sorted", "long", "tokens-1"], 3)
    assert made[:70] == rows
    assert batches["single"] == [[place] for place in range(70)]
    assert [len(batch) for batch in batches["stream"]] == [32, 32, 6]
    lengths = [len(rows[place]) for batch in batches["sorted"] for place in batch]
    assert lengths == sorted(map(len, rows))
    assert [[len(made[place]) for place in batch] for batch in batches["long"]] == [[256] * 3]
    assert {len(made[place]) for [place] in batches["tokens-1"]} == {1}
    assert all(made[place][0] == work.CLS and made[place][-1] == work.SEP for places in batches["long"]
               for place in places)


def test_generated_rows_are_as_long_as_those_of_sentences():
    lengths = [len(row) for row in work.generated_rows(512)]
    assert 9.5 < np.mean(lengths) < 10.5 and min(lengths) == 6


def test_rows_have_the_special_tokens_of_their_model():
    rows = [[work.CLS, 2000, work.SEP]]
    assert work.for_model(rows, {"cls_token_id": None, "bos_token_id": 0, "eos_token_id": 2, "vocab_size": 30522}) == [[0, 2000, 2]]
    assert work.for_model(rows, {"pad_token_id": 0, "vocab_size": 30522}) == rows
    assert work.for_model(rows, {"vocab_size": 1000}) == [[101, 500, 102]]


def test_rows_of_texts_are_the_tokenizers(minilm, texts):
    tokenizer = str(minilm / "tokenizer.json")
    plain = Tokenizer.from_file(tokenizer)
    plain.no_padding()
    plain.no_truncation()
    assert work.rows_of_texts(texts[:20], tokenizer) == [plain.encode(text).ids for text in texts[:20]]


def test_errors_are_of_the_largest_value_and_of_rows_means():
    # Rows of two tokens and one: means (2, 0) and (0, 2) against (2, 0) and (2, 2).
    reference = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 2.0]])
    states = np.array([[2.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    found = errors.compared(states, reference, [2, 1])
    assert found["largest_difference"] == pytest.approx(2 / 3)
    assert found["one_minus_cosine"] == pytest.approx(1 - 0.5**0.5)


def test_a_round_goes_forwards_and_backwards():
    order = []

    def engine(name, passes):
        left = iter(passes)
        return SimpleNamespace(name=name, take=lambda _: (order.append(name), next(left))[1])

    times = taken([engine("a", [[1.0, 5.0], [3.0, 4.0]]), engine("b", [[1.0], [2.0]])], "single")
    assert order == ["a", "b", "b", "a"]
    assert times == {"a": {"p50": 3.5, "sum": 6.5}, "b": {"p50": 1.5, "sum": 1.5}}


@pytest.mark.parametrize("bits", [8, 4])
def test_restored_weights_are_what_mlx_dequantizes(bits, tmp_path):
    weights = np.random.default_rng(1).standard_normal((6, 128)).astype(np.float32)
    # MLX would round to float16; it is given the same scales and biases in float32.
    words, scales, biases = mx.quantize(mx.array(weights).astype(mx.float16), group_size=64, bits=bits)
    converted = tmp_path / "converted"
    converted.mkdir()
    save_file({"a.weight": np.array(words), "a.scales": np.array(scales), "a.biases": np.array(biases),
               "a.bias": np.ones(6, np.float16)}, converted / "model.safetensors")
    settings = {"group_size": 64, "bits": bits}
    (converted / "config.json").write_text(f'{{"quantization": {{"group_size": 64, "bits": {bits}}}}}')
    restored.restore(converted, tmp_path / "restored")
    found = load_file(tmp_path / "restored/model.safetensors")
    expected = mx.dequantize(words, scales.astype(mx.float32), biases.astype(mx.float32), **settings)
    np.testing.assert_allclose(found["a.weight"], np.array(expected), rtol=1e-6, atol=1e-7)
    assert found["a.bias"].dtype == np.float32 and set(found) == {"a.weight", "a.bias"}


def test_an_engine_that_ends_is_named():
    with pytest.raises(SystemExit, match="the engine `gone` ended with 3"):
        EngineProcess("gone", [sys.executable, "-c", "raise SystemExit(3)"], 1)
