"""Makes a random classifier in the full size of a family's base model, for its speed.

Arguments: the model's name, the folder to make, and one with a tokenizer to put beside it.
"""

import shutil
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

# Model type, and what differs from the defaults of transformers' configuration, as the published models have it.
MODELS = {
    "distilbert-base": ("distilbert", {}),
    "roberta-base": ("roberta", {"vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1,
                                 "layer_norm_eps": 1e-5}),
    "mpnet-base": ("mpnet", {"max_position_embeddings": 514, "layer_norm_eps": 1e-5}),
    "mobilebert": ("mobilebert", {}),
    "deberta-v3-base": ("deberta-v2", {
        "vocab_size": 128100, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
        "intermediate_size": 3072, "type_vocab_size": 0, "relative_attention": True, "max_relative_positions": -1,
        "position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True, "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False, "pooler_hidden_size": 768,
    }),
    "modernbert-base": ("modernbert", {}),
    "bart-base": ("bart", {"d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 12,
                           "decoder_attention_heads": 12, "encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072}),
}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")


def main(name, folder, tokenizer):
    kind, settings = MODELS[name]
    torch.manual_seed(20261126)
    model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(kind, num_labels=3, **settings))
    work = folder.with_name(f".making-{name}")
    shutil.rmtree(work, ignore_errors=True)
    model.save_pretrained(work)
    for file in TOKENIZER:
        shutil.copyfile(tokenizer / file, work / file)
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
