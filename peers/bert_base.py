"""Makes a random BERT-base (110 M parameters in float32, 440 MB) with the tokenizer of all-MiniLM-L6-v2.

What `cargo xtask bench start` converts to 8 bits and starts. The arguments are the folder to make and
the one with the tokenizer.
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

HIDDEN, INNER, LAYERS, HEADS, WORDS, POSITIONS = 768, 3072, 12, 12, 30522, 512


def shapes():
    """Names and shapes of `BertModel`."""
    for name, rows in (("word", WORDS), ("position", POSITIONS), ("token_type", 2)):
        yield f"embeddings.{name}_embeddings.weight", (rows, HIDDEN)
    yield from norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        at = f"encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            yield from linear(f"{at}.attention.self.{name}", HIDDEN, HIDDEN)
        yield from linear(f"{at}.attention.output.dense", HIDDEN, HIDDEN)
        yield from norm(f"{at}.attention.output.LayerNorm")
        yield from linear(f"{at}.intermediate.dense", INNER, HIDDEN)
        yield from linear(f"{at}.output.dense", HIDDEN, INNER)
        yield from norm(f"{at}.output.LayerNorm")
    yield from linear("pooler.dense", HIDDEN, HIDDEN)


def linear(path, rows, columns):
    yield f"{path}.weight", (rows, columns)
    yield f"{path}.bias", (rows,)


def norm(path):
    yield f"{path}.weight", (HIDDEN,)
    yield f"{path}.bias", (HIDDEN,)


def main(folder, tokenizer):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(20261126)
    tensors = {}
    for name, shape in shapes():
        tensors[name] = rng.standard_normal(shape, np.float32)
        tensors[name] *= np.float32(0.02)
        tensors[name] += np.float32("LayerNorm.weight" in name)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copyfile(tokenizer / name, folder / name)
    # Written last: a folder with it is complete.
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["BertModel"], "model_type": "bert", "vocab_size": WORDS, "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": INNER,
        "hidden_act": "gelu", "max_position_embeddings": POSITIONS, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "pad_token_id": 0,
    }, indent=2))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
