"""Makes a random llama of 1.1 billion parameters (TinyLlama's shape) in bfloat16, in three shards.

What `cargo xtask bench convert` converts. One tensor at a time, so that it needs little memory.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
from tiny.build import tokenizer

HIDDEN, INNER, LAYERS, HEADS, KEYS, WORDS = 2048, 5632, 22, 32, 4, 32000
SHARDS = 3


def tensors():
    """Names and shapes, in the order of the model."""
    yield "model.embed_tokens.weight", (WORDS, HIDDEN)
    width = HIDDEN // HEADS * KEYS
    for layer in range(LAYERS):
        at = f"model.layers.{layer}"
        for name, shape in (("q_proj", (HIDDEN, HIDDEN)), ("k_proj", (width, HIDDEN)),
                            ("v_proj", (width, HIDDEN)), ("o_proj", (HIDDEN, HIDDEN))):
            yield f"{at}.self_attn.{name}.weight", shape
        for name, shape in (("gate_proj", (INNER, HIDDEN)), ("up_proj", (INNER, HIDDEN)),
                            ("down_proj", (HIDDEN, INNER))):
            yield f"{at}.mlp.{name}.weight", shape
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{at}.{name}.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (WORDS, HIDDEN)


def numbers(rng, shape):
    """Normal with a deviation of 0.02, or ones for a norm; the upper halves of float32 words."""
    if len(shape) == 1:
        return np.full(shape, 0x3F80, np.uint16)
    drawn = rng.standard_normal(shape, np.float32)
    drawn *= np.float32(0.02)
    return (drawn.view(np.uint32) >> 16).astype(np.uint16)


def write_shard(path, members, rng):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in members:
        end = at + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape in members:
            file.write(numbers(rng, shape).tobytes())
    return at


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    every = list(tensors())
    limit = sum(int(np.prod(shape)) for _, shape in every) / SHARDS
    shards, held = [[]], 0
    for name, shape in every:
        if held > limit * len(shards):
            shards.append([])
        shards[-1].append((name, shape))
        held += int(np.prod(shape))
    assert len(shards) == SHARDS
    rng, total, places = np.random.default_rng(20261125), 0, {}
    for number, members in enumerate(shards, 1):
        name = f"model-{number:05}-of-{SHARDS:05}.safetensors"
        total += write_shard(folder / name, members, rng)
        places |= {tensor: name for tensor, _ in members}
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    tokenizer(folder)
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16",
        "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KEYS, "vocab_size": WORDS,
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-05, "rope_theta": 10000.0,
        "hidden_act": "silu", "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
    }, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
