"""Makes a tiny checkpoint or two of every family, with what transformers computes for rows of token ids.

The Rust tests read them, so that the families are compared with transformers where no Python is. Random float16
weights of fixed seeds; the lines are those of `tiny.families`, over smaller shapes.
Usage: python peers/family_fixtures.py fixtures/families
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers
from tiny import grid
from tiny.families import BIASES, CONV, V2, rope

BERT = {"vocab_size": 50, "hidden_size": 24, "num_attention_heads": 3, "intermediate_size": 36,
        "max_position_embeddings": 24}
BART = {"vocab_size": 50, "d_model": 24, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 3,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 36, "decoder_ffn_dim": 20, "max_position_embeddings": 24}
MOBILE = BERT | {"hidden_size": 32, "embedding_size": 12, "intra_bottleneck_size": 24,
                 "num_feedforward_networks": 3}
MODERN = BERT | {"num_hidden_layers": 3, "local_attention": 6}

# Folder: model type, line.
FIXTURES = {
    "bert": ("bert", {"config": BERT, "old": ["gamma", "position_ids"]}),
    "roberta": ("roberta", {"config": BERT | {"pad_token_id": 3, "max_position_embeddings": 28}}),
    "xlm-roberta": ("xlm-roberta", {
        "config": BERT | {"type_vocab_size": 1}, "head": "base", "pooling": ["mean"]}),
    "distilbert": ("distilbert", {"config": {
        "vocab_size": 50, "dim": 24, "n_heads": 3, "hidden_dim": 36, "max_position_embeddings": 24,
        "activation": "relu"}}),
    # Long enough for the last of the buckets.
    "mpnet": ("mpnet", {"config": BERT | {"max_position_embeddings": 102}}),
    "mobilebert": ("mobilebert", {"config": MOBILE}),
    "mobilebert-no-bottleneck": ("mobilebert", {"labels": 1, "config": MOBILE | {
        "use_bottleneck": False, "hidden_size": 24, "normalization_type": "layer_norm", "trigram_input": False}}),
    "deberta-v2": ("deberta-v2", {"config": BERT | V2 | CONV}),
    "deberta-v3": ("deberta-v2", {"config": BERT | {"position_buckets": 8}}),
    "modernbert": ("modernbert", {"config": MODERN | BIASES | {"classifier_pooling": "mean"} | rope(500.0, 20.0)}),
    "modernbert-embedding": ("modernbert", {"config": MODERN, "head": "base", "form": "published"}),
    "bart": ("bart", {"config": BART | {"scale_embedding": True}}),
    "bart-embedding": ("bart", {"config": BART, "head": "base", "pooling": ["mean"]}),
}


def rounded(numbers):
    """As many digits as distinguish any two float32."""
    return [float(f"{number:.9g}") for number in numbers]


def make(folder, kind, line):
    """Writes the checkpoint and `expected.json`."""
    shutil.rmtree(folder, ignore_errors=True)
    grid.folder(folder, kind, line | {"dtype": "float16"})
    model = grid.reference(folder, line)
    ids, segments = grid.rows(model.config, line)
    outputs = grid.answers(model, line, ids, segments)
    rows = [{"ids": row, "type_ids": types, "output": rounded(output)}
            for row, types, output in zip(ids, segments, outputs.tolist(), strict=True)]
    expected = {
        "made_by": f"peers/family_fixtures.py, transformers {transformers.__version__}, torch {torch.__version__}",
        "vocabulary": model.config.vocab_size,
        "max_tokens": grid.longest(model.config),
        # What a segment may be, 0 where segments are passed over.
        "segments": segments_of(model.config),
        "rows": rows,
    }
    text = json.dumps(expected).replace('{"ids"', '\n{"ids"')
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")


def segments_of(config):
    """The number of segments that a row can tell apart: RoBERTa with one adds it to every token."""
    types = getattr(config, "type_vocab_size", 0) or 0
    return 0 if types == 1 and config.model_type in ("roberta", "xlm-roberta") else types


def main(root):
    shutil.rmtree(root, ignore_errors=True)
    for name, (kind, line) in FIXTURES.items():
        make(Path(root) / name, kind, line)


if __name__ == "__main__":
    main(sys.argv[1])
