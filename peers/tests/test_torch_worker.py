"""The PyTorch worker, through its protocol, against what transformers and sentence-transformers gave or give.

`expected.jsonl` of the developers' models was recorded from transformers' own classes, with MobileBERT's rows
alone; the worker is asked in batches of mixed lengths, so that its padding and its groups are tested too.
"""

import json
import sys

import numpy as np
import pytest
import torch
from conftest import ROOT
from tiny import build, grid
from tiny.encoders import SHAPES
from worker import Refused, Worker

SCRIPT = ROOT / "crates/mlxq-engine/src/torch/worker.py"
NAMES = ["bart-nli", "bert-goemotions", "bert-nli", "deberta-v3-nli-binary", "distilbert-sst2", "minilm-reranker",
         "mobilebert-trec", "modernbert-agnews", "mpnet-emotion", "roberta-agnews", "sbert-tiny",
         "xlm-roberta-stsb"]
