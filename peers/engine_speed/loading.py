"""Models of transformers as they are compared."""

import json
from pathlib import Path

import transformers


def load(folder, attention, dtype):
    """The classifier with its head where the folder holds one, else the encoder without the pooler that no mean needs."""
    config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    settings = {"dtype": dtype, "attn_implementation": attention}
    if any(name.endswith("ForSequenceClassification") for name in config["architectures"]):
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, **settings)
    else:
        model = transformers.AutoModel.from_pretrained(folder, add_pooling_layer=False, **settings)
    return model.eval()
