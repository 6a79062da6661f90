"""Folders of `families`' lines, rows of token ids for them, and what transformers computes.

transformers computes each row alone, so that padding has no part in it: in float32, eager attention, on one
thread of the CPU.
"""

import random

import torch
from tiny import build
from tiny.encoders import PREFIXES
from tiny.families import SETTINGS, SHAPES
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

SEED = 11
LENGTHS = [5, 1, 17, 3, 2, 9]
# Positions that a row cannot use, where the padding id does not decide it.
SPARE_POSITIONS = {"mpnet": 2}


def strong_weights(model, seed):
    """Every parameter random and large enough that no part of the model drowns in the rest."""
    # Without norms a sum of two branches grows from layer to layer.
    gain = 0.5 if getattr(model.config, "normalization_type", "") == "no_norm" else 1.2
    made = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            noise = torch.randn(value.shape, generator=made)
            if value.dim() == 1:
                value.copy_(1 + noise / 4 if name.endswith("weight") else noise / 2)
            elif "embed" in name and "proj" not in name or "relative_attention_bias" in name:
                value.copy_(noise)
            else:
                value.copy_(noise * gain / value[0].numel() ** 0.5)
    return model.eval()


def changed_file(folder, how, kind):
    """The file in another form: `no-prefix`, `no-shared`, or one of `build.older`."""
    prefix = PREFIXES[kind]
    if how == "no-prefix":
        return build.one_file(folder, lambda old: {name.removeprefix(prefix): old[name] for name in old})
    if how == "no-shared":
        lost = (f"{prefix}shared.weight", f"{prefix}decoder.embed_tokens.weight")
        return build.one_file(folder, lambda old: {name: old[name] for name in old if name not in lost})
    return build.one_file(folder, lambda old: build.older(how, old, prefix))


def sentence_modules(folder, modes, width):
    """`modules.json` and what it names, for a Pooling module with these modes."""
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    build.write(folder / "modules.json", [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{module}"}
        for i, (path, module) in enumerate(kinds)
    ])
    (folder / "1_Pooling").mkdir()
    build.write(folder / "1_Pooling/config.json", {"embedding_dimension": width, "pooling_mode": modes})


def folder(path, kind, line):
    """Writes the checkpoint of `line`, of the model type `kind`, to `path`, which must not exist."""
    head = line.get("head", "classify")
    labels = {"num_labels": line.get("labels", 3)} if head == "classify" else {}
    config = AutoConfig.for_model(kind, **SHAPES[kind] | line.get("config", {}) | labels)
    model = strong_weights(build.HEADS[head].from_config(config), line.get("seed", SEED))
    model.to(getattr(torch, line.get("dtype", "float32"))).save_pretrained(path)
    written = build.read(path / "config.json")
    if line.get("form") == "published":
        written = build.published(written)
    build.write(path / "config.json", written | line.get("write", {}))
    for how in line.get("old", []):
        changed_file(path, how, kind)
    if modes := line.get("pooling"):
        sentence_modules(path, modes, config.hidden_size)
    return path


def longest(config):
    """The most tokens that a row may have."""
    kind = config.model_type
    spare = config.pad_token_id + 1 if kind in ("roberta", "xlm-roberta") else SPARE_POSITIONS.get(kind, 0)
    return config.max_position_embeddings - spare


def rows(config, line):
    """Rows of token ids and of segments: all lengths from 1 to the greatest, with padding ids inside."""
    made = random.Random(line.get("seed", SEED))
    most = line.get("longest") or longest(config)
    lengths = [length for length in LENGTHS if length < most - 1] + [most, most - 1]
    types = getattr(config, "type_vocab_size", 0) or 1
    ids = [[made.randrange(config.vocab_size) for _ in range(length)] for length in lengths]
    for row in ids:
        row[3:4] = [config.pad_token_id] * len(row[3:4])
        row[5:7] = [config.pad_token_id] * len(row[5:7])
    if config.model_type == "bart":
        end_rows(ids, config.eos_token_id)
    return ids, [[made.randrange(types) for _ in row] for row in ids]


def end_rows(ids, end):
    """BART's head reads at the last end token: one, two and three of them, not all at the row's end."""
    for place, row in enumerate(ids):
        row[-1 - place % 3:] = [end] * len(row[-1 - place % 3:])
        if len(row) > 8 and place % 2:
            row[-4:] = [end, end, 4, 6]


def is_classifier(line):
    return line.get("head", "classify") == "classify" and "pooling" not in line


def reference(path, line):
    """The model that transformers makes of the folder, in float32; nothing but a pooler may be missing."""
    kind = AutoModelForSequenceClassification if is_classifier(line) else AutoModel
    how = {"dtype": torch.float32, "attn_implementation": "eager", "output_loading_info": True}
    model, report = kind.from_pretrained(path, **how)
    missing = [name for name in report["missing_keys"] if not name.startswith("pooler.")]
    assert not missing and not report["mismatched_keys"], report
    return model.eval()


def pooled(hidden, modes):
    """Vectors of tokens `[tokens, width]` as one; the modes side by side."""
    made = {"cls": lambda: hidden[0], "max": lambda: hidden.max(0).values, "mean": lambda: hidden.mean(0)}
    return torch.cat([made[mode]() for mode in modes])


def answer(model, line, row, segments):
    """The logits or the embedding of one row."""
    inputs = {"input_ids": torch.tensor([row])}
    if getattr(model.config, "type_vocab_size", 0):
        inputs["token_type_ids"] = torch.tensor([segments])
    with torch.inference_mode():
        output = model(**inputs)
    if is_classifier(line):
        return output.logits[0]
    return pooled(output.last_hidden_state[0], line.get("pooling", ["mean"]))


def answers(model, line, ids, segments):
    """The vectors of all rows, each computed alone, `[rows, width]`."""
    return torch.stack([answer(model, line, *pair) for pair in zip(ids, segments, strict=True)]).numpy()


def every_line():
    """All model types with all names of lines."""
    return [(kind, name) for kind, lines in SETTINGS.items() for name in lines]
