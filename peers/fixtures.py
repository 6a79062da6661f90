"""Makes the tiny checkpoints that the tests use, with what transformers computes for them.

Random weights of a fixed seed; everything here is small enough to read and to keep in the repository.
Usage: python peers/fixtures.py fixtures
"""

import json
import os
import shutil
import sys

import torch
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, BertModel

WORDS = """[PAD] [UNK] [CLS] [SEP] [MASK] the a an of and to in is was it on for with he she they we you
not no yes red blue green cat dog bird man woman child house tree car water fire big small old new good
bad run runs walk walks eat eats see sees play plays sing sings ##s ##ing ##ed ##er ##ly . , ! ? ' - one
two three four five"""
VOCABULARY = {word: place for place, word in enumerate(WORDS.split())}
TEXTS = [
    ("a cat walks on the house", None),
    ("", None),
    ("THE Big DOG!", None),
    ("she sings, they play; he eats", None),
    ("one two three four five one two three four five one two three four five " * 4, None),
    ("an old man runs", "a new car"),
    ("it is not good", "it is bad bad bad bad bad bad bad bad bad bad"),
    ("unknown words: zyx qwv", "no"),
]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


def tokenizer(max_length):
    """A WordPiece tokenizer whose own truncation and padding are traps."""
    made = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", VOCABULARY["[CLS]"]), ("[SEP]", VOCABULARY["[SEP]"])]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    made.enable_truncation(max_length)
    made.enable_padding(length=max_length, pad_token="[PAD]")
    return made


def config(**more):
    return BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=40,
        initializer_range=0.3,
        **more,
    )


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def save(folder, model, made):
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    made.save(os.path.join(folder, "tokenizer.json"))
    write(os.path.join(folder, "tokenizer_config.json"), {
        "tokenizer_class": "BertTokenizer", "model_max_length": 36, "do_lower_case": True,
    })


def encode(made, text, pair, max_length):
    made.no_padding()
    made.enable_truncation(max_length)
    encoded = made.encode(text, pair) if pair is not None else made.encode(text)
    return encoded.ids, encoded.type_ids


def expected(folder, made, rows, max_length, predict):
    with open(os.path.join(folder, "expected.jsonl"), "w", encoding="utf-8") as file:
        for text, pair in rows:
            ids, types = encode(made, text, pair, max_length)
            with torch.inference_mode():
                output = predict(torch.tensor([ids]), torch.tensor([types])).reshape(-1).tolist()
            row = {"text": text} | ({} if pair is None else {"text_pair": pair})
            file.write(json.dumps(row | {"ids": ids, "type_ids": types, "output": output}) + "\n")


def embedding(root):
    """An embedding model whose maximum is 32, while tokenizer.json says 8."""
    folder, made = os.path.join(root, "tiny-bert-embed"), tokenizer(8)
    model = BertModel(config()).eval()
    save(folder, model, made)
    os.makedirs(os.path.join(folder, "1_Pooling"))
    write(os.path.join(folder, "modules.json"), [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ])
    write(os.path.join(folder, "sentence_bert_config.json"), {"max_seq_length": 32, "do_lower_case": False})
    write(os.path.join(folder, "1_Pooling", "config.json"), {
        "word_embedding_dimension": 64,
        "pooling_mode_cls_token": True,
        "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False,
    })
    pooling = Pooling(64, ("cls", "mean"))

    def predict(ids, types):
        hidden = model(input_ids=ids, token_type_ids=types).last_hidden_state
        features = {"token_embeddings": hidden, "attention_mask": torch.ones_like(ids)}
        return torch.nn.functional.normalize(pooling(features)["sentence_embedding"], dim=1)

    rows = [(text, None) for text, _ in TEXTS]
    expected(folder, made, rows, 32, predict)
    poolings(root, model, made)


def poolings(root, model, made):
    """Every pooling mode of sentence-transformers on one text's token vectors."""
    ids, types = encode(made, "a big red bird sings to the tree", None, 32)
    with torch.inference_mode():
        hidden = model(input_ids=torch.tensor([ids]), token_type_ids=torch.tensor([types])).last_hidden_state
    hidden = hidden[:, :, :4]
    features = {"token_embeddings": hidden, "attention_mask": torch.ones(1, len(ids), dtype=torch.int64)}
    values = {mode: Pooling(4, mode)(dict(features))["sentence_embedding"][0].tolist() for mode in MODES}
    write(os.path.join(root, "pooling.json"), {"tokens": hidden[0].tolist(), "pooled": values})


def classification(root):
    """A three-label model for pairs, stored with the prefix and the head of its task."""
    folder, made = os.path.join(root, "tiny-bert-classify"), tokenizer(8)
    labels = ["contradiction", "entailment", "neutral"]
    model = BertForSequenceClassification(config(
        id2label=dict(enumerate(labels)), label2id={label: i for i, label in enumerate(labels)}
    )).eval()
    save(folder, model, made)
    expected(folder, made, TEXTS, 36, lambda ids, types: model(input_ids=ids, token_type_ids=types).logits)


def main(root):
    torch.manual_seed(20261124)
    os.makedirs(root, exist_ok=True)
    embedding(root)
    classification(root)


if __name__ == "__main__":
    main(sys.argv[1])
