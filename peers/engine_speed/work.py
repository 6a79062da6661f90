"""Token rows and the workloads that are made of them."""

import csv
import json
import random

BATCH = 32
LONG_TOKENS = 256
# Ids of all-MiniLM-L6-v2's tokenizer, which other models take for their own but for these.
CLS, SEP, FIRST_WORD = 101, 102, 1996


def sentences(file, count):
    """The first sentences of STS-B's pairs: pair after pair, `count` in all."""
    with open(file, encoding="utf-8", newline="") as lines:
        pairs = [line[5:7] for line in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [text.strip() for pair in pairs for text in pair][:count]


def rows_of_texts(texts, tokenizer):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(tokenizer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [encoded.ids for encoded in tokenizer.encode_batch(texts)]


def generated_rows(count):
    """Rows of lengths like STS-B's (mean 10 tokens, 6 to 20), of ids of words."""
    source = random.Random(20261126)
    lengths = [min(20, max(6, round(source.gauss(10.0, 2.4)))) for _ in range(count)]
    return [[CLS, *(source.randrange(FIRST_WORD, 29000) for _ in range(length - 2)), SEP] for length in lengths]


def of_length(rows, length, count):
    """`count` rows of exactly `length` tokens: the words of `rows`, one row after the other."""
    words = [id for row in rows for id in row[1:-1]]
    inner = max(length - 2, 0)
    made = [[words[(place * inner + at) % len(words)] for at in range(inner)] for place in range(count)]
    return [[CLS, *ids, SEP][:length] for ids in made]


def for_model(rows, config):
    """The rows with the first and last token that a model of this configuration expects, and words that it has."""
    first = first_of(config, ["cls_token_id", "bos_token_id"], CLS)
    last = first_of(config, ["sep_token_id", "eos_token_id"], SEP)
    size, specials = config["vocab_size"], {CLS: first, SEP: last}

    def own(id):
        # A smaller vocabulary has special tokens at its ends, and words in between.
        return id if id < size else size // 2 + id % (size // 4)

    return [[specials.get(id, own(id)) for id in row] for row in rows]


def first_of(config, keys, default):
    return next((config[key] for key in keys if config.get(key) is not None), default)


def batches(places):
    return [places[at:at + BATCH] for at in range(0, len(places), BATCH)]


def workloads(rows, names, long_rows):
    """All rows, those of `rows` first, and the batches of each workload by its name.

    `single` one text at a time, `stream` in the order of the file, `sorted` by length, `long` rows of 256 tokens,
    `tokens-N` single rows of N tokens.
    """
    all_rows, places = list(rows), list(range(len(rows)))
    made = {"single": [[place] for place in places], "stream": batches(places),
            "sorted": batches(sorted(places, key=lambda place: len(rows[place])))}
    for name in [name for name in names if name not in made]:
        long = name == "long"
        more = of_length(rows, *((LONG_TOKENS, long_rows) if long else (int(name.split("-")[1]), BATCH)))
        added = list(range(len(all_rows), len(all_rows) + len(more)))
        made[name] = batches(added) if long else [[place] for place in added]
        all_rows += more
    return all_rows, {name: made[name] for name in names}


def write(file, rows, made):
    file.write_text(json.dumps({"rows": rows, "workloads": made}))
