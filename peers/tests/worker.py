"""A worker process as an object: token ids in, vectors out, without a tokenizer.

The protocol is a line of JSON, then the raw bytes that it announces (`crates/mlxq-engine/src/worker`).
"""

import json
import os
import subprocess

import numpy as np

VERSION = 2


class Refused(Exception):
    """The worker said that a request failed, and goes on."""


class Worker:
    """A process of an engine, the native one if no `command` is given; it holds one model at a time."""

    def __init__(self, threads=2, command=None):
        command = command or [os.environ["MLXQ"], "worker"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.threads = threads

    def ask(self, request, payload=b"", **fields):
        """One request and its reply, with the reply's raw bytes."""
        line = json.dumps({"request": request, **fields}) + "\n"
        self.process.stdin.write(line.encode() + payload)
        self.process.stdin.flush()
        reply = json.loads(self.process.stdout.readline())
        if reply["reply"] == "failed":
            raise Refused(reply["error"])
        return reply, self.process.stdout.read(reply.get("bytes", 0))

    def load(self, folder):
        """Loads a model folder in place of the one before; what the engine says of itself."""
        fields = {"protocol": VERSION, "model": str(folder), "threads": self.threads}
        reply, _ = self.ask("load", **fields)
        return reply["info"]

    def predict(self, rows, segments=None, batch=None):
        """One vector per row of token ids, `batch` rows a call, else all; segments are 0 if none are given."""
        segments = segments or [[0] * len(row) for row in rows]
        offsets = np.cumsum([0] + [len(row) for row in rows])
        numbers = np.concatenate([offsets, *map(np.asarray, rows), *map(np.asarray, segments)])
        payload = numbers.astype("<u4").tobytes()
        self.ask("rows", payload, rows=len(rows), tokens=int(offsets[-1]), bytes=len(payload))
        reply, raw = self.ask("predict", batch=batch or max(len(rows), 1))
        return np.frombuffer(raw, "<f4").reshape(reply["rows"], reply["cols"])

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
