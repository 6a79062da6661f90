"""Writes the dev sets of the developers' models as one kind of file, with what `mlxq run` needs to run them all.

    python3 peers/shared_models.py SHARED OUT

Each set is made from the published file as the model's TRAINING.json says under `dev`, and becomes JSON lines of
`text`, `text_pair` (of pairs), and `label`, `labels` (names with commas between them) or `score`. Labels are
those of the data, not of the model. The standard library is enough.
"""

import csv
import json
import sys
from pathlib import Path

SNLI = "models/dev/snli-dev-tail.jsonl"
AG_NEWS = ["World", "Sports", "Business", "Sci/Tech"]
# The classes of the file, in its own numbers.
TREC = ["DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"]
SST2 = ["negative", "positive"]
# Hidden sizes of 96 hold groups of 32 alone; one size for all keeps the models comparable.
GROUP_SIZE = 32


def lines(path, encoding="utf-8"):
    """The lines of a file, cut at the line feed alone: texts hold other breaks of Unicode's."""
    return path.read_bytes().decode(encoding).removesuffix("\n").split("\n")


def snli(shared):
    for line in lines(shared / SNLI):
        row = json.loads(line)
        yield {"text": row["premise"], "text_pair": row["hypothesis"], "label": row["label"]}


def goemotions(shared):
    names = lines(shared / "data/goemotions/labels.txt")
    for line in lines(shared / "data/goemotions/dev.tsv"):
        text, ids, _ = line.split("\t")
        yield {"text": text, "labels": ",".join(names[int(i)] for i in ids.split(","))}


def sst2(shared):
    for line in lines(shared / "data/sst2/dev.tsv")[1:]:
        text, label = line.split("\t")
        yield {"text": text.strip(" "), "label": SST2[int(label)]}


def trec(shared):
    for line in lines(shared / "data/trec/TREC.test.all", "latin-1"):
        label, text = line.split(" ", 1)
        yield {"text": text, "label": TREC[int(label)]}


def ag_news(shared):
    with (shared / "data/agnews/test.csv").open(encoding="utf-8", newline="") as file:
        for number, title, description in csv.reader(file):
            yield {"text": f"{title} {description}", "label": AG_NEWS[int(number) - 1]}


def emotion(shared):
    for line in lines(shared / "data/emotion/val.txt"):
        text, label = line.rsplit(";", 1)
        yield {"text": text, "label": label}


def stsb(shared):
    for line in lines(shared / "data/stsb/sts-dev.csv"):
        fields = line.split("\t")
        yield {"text": fields[5], "text_pair": fields[6], "score": float(fields[4])}


def cranfield(shared):
    queries, documents = (
        {row["_id"]: row["text"] for row in map(json.loads, lines(shared / "data/cranfield" / name))}
        for name in ("queries.jsonl", "corpus.jsonl")
    )
    for line in lines(shared / "models/dev/cranfield-rerank-dev.tsv")[1:]:
        query, document, relevant = line.split("\t")
        yield {"text": queries[query], "text_pair": documents[document], "score": int(relevant)}


MODELS = {
    "bart-nli": ("nli", snli),
    "bert-goemotions": ("multi-label-classification", goemotions),
    "bert-nli": ("nli", snli),
    "deberta-v3-nli-binary": ("nli", snli),
    "distilbert-sst2": ("sentiment", sst2),
    "minilm-reranker": ("reranking", cranfield),
    "mobilebert-trec": ("classification", trec),
    "modernbert-agnews": ("classification", ag_news),
    "mpnet-emotion": ("classification", emotion),
    "roberta-agnews": ("classification", ag_news),
    "sbert-tiny": ("semantic-similarity", stsb),
    "xlm-roberta-stsb": ("regression", stsb),
}


def written(path, rows):
    """The rows written to `path`, one JSON object a line."""
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return rows


def data_set(out, name, read, shared):
    """Writes a model's data file, and is its entry in datasets.yaml."""
    dev = json.loads((shared / "models" / name / "TRAINING.json").read_text(encoding="utf-8"))["dev"]
    rows = written(out / f"{name}.jsonl", read(shared))
    if len(rows) != dev["rows"]:
        sys.exit(f"{name}: {len(rows)} rows, and TRAINING.json says {dev['rows']}")
    columns = "".join(f"      {column}: {column}\n" for column in rows[0])
    return (f"  {name}:\n    provider: local\n    path: {name}.jsonl\n    keep_empty: true\n    columns:\n{columns}"
            f"    preprocessing:\n      max_length: {dev['max_length']}\n")


def model(name, task, shared):
    """A model's entry in models.yaml. A path in JSON's quotes is one in YAML's."""
    path = json.dumps(str(shared / "models" / name), ensure_ascii=False)
    return (f"  - name: {name}\n    path: {path}\n    task: {task}\n    benchmarks: [{name}]\n"
            f"    quantization:\n      bits: 8\n      group_size: {GROUP_SIZE}\n")


def main():
    shared, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    sets = [data_set(out, name, read, shared) for name, (_, read) in MODELS.items()]
    models = [model(name, task, shared) for name, (task, _) in MODELS.items()]
    (out / "datasets.yaml").write_text("datasets:\n" + "".join(sets), encoding="utf-8")
    (out / "models.yaml").write_text("models:\n" + "".join(models), encoding="utf-8")


if __name__ == "__main__":
    main()
