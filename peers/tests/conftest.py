"""What the peer tests share: the program, the real model, its conversion, texts.

`cargo xtask test` sets MLXQ (the program), MLXQ_EVALUATE (an example of mlxq-eval), MLXQ_MINILM and
MLXQ_SMOLLM2 (the models' folders) and, where the developers' data sets are present, MLXQ_SHARED.
"""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "peers"))  # for the package `tiny`


def mlxq(*arguments, stdin=None, codes=(0,), env=None):
    """Runs the program; its standard output."""
    done = subprocess.run(
        [os.environ["MLXQ"], *map(str, arguments)],
        input=stdin, capture_output=True, text=True, env=os.environ | (env or {}),
    )
    assert done.returncode in codes, f"exit {done.returncode}\n{done.stderr}"
    return done.stdout


def predict(model, rows):
    """The answers of `mlxq predict` to `rows`, texts or pairs."""
    rows = [(row, None) if isinstance(row, str) else row for row in rows]
    lines = [{"text": text} | ({} if pair is None else {"text_pair": pair}) for text, pair in rows]
    stdin = "".join(json.dumps(line) + "\n" for line in lines)
    answers = [json.loads(line) for line in mlxq("predict", model, "--input", "-", stdin=stdin).splitlines()]
    assert len(answers) == len(rows)
    return answers


def quickstart_pairs():
    lines = (ROOT / "quickstart/pairs.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [line.split("\t") for line in lines]


@pytest.fixture(scope="session")
def minilm():
    return Path(os.environ["MLXQ_MINILM"])


@pytest.fixture(scope="session")
def converted(minilm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted") / "all-MiniLM-L6-v2-mlx-q8"
    mlxq("convert", "--hf-path", minilm, "--mlx-path", folder)
    return folder


@pytest.fixture(scope="session")
def texts():
    """500 texts: sentences, empty ones, other scripts, and texts of more than 256 tokens."""
    sentences = [text for a, b, _ in quickstart_pairs() for text in (a, b)]
    rng = random.Random(20261124)
    words = sorted({word for text in sentences for word in text.split()})
    made = ["", " ", "Ærøskøbing – naïve café", "東京は日本の首都です。", "🙂 emoji 👩‍👩‍👧 text", "e\u0301 \u00e9 ﬁ \u200b\x07",
            "x" * 300, "UPPER lower MiXeD", "don't -- stop... 3.14 1,000 a@b.c #tag"]
    while len(sentences) + len(made) < 500:
        count = rng.choice([1, 3, 10, 30, 100, 250, 400])
        made.append(" ".join(rng.choices(words, k=count)))
    return sentences + made


@pytest.fixture(scope="session")
def shared():
    folder = os.environ.get("MLXQ_SHARED")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs the developers' data sets (MLXQ_SHARED)")
    return Path(folder)
