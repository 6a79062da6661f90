"""Runs the series of a plan and prints a line of JSON for each. The argument is the plan, a JSON file:

{"threads", "rounds", "native": program, "sentences": STS-B's dev file or null, "tokenizer": tokenizer.json,
 "work": folder, "onnx": folder of graphs that are kept,
 "series": [{"name", "model": folder, "texts": count, "long_rows": count, "workloads": [name], "errors": flag, "engines": [
    {"name", "kind": "native" | "torch" | "onnx", "model": folder, "setting", "same_weights": true or absent}]}]}

Times are of passes in which the engines take turns, forwards and then backwards, in every round.
"""

import json
import shutil
import statistics
import sys
from pathlib import Path

import numpy as np

from engine_speed import engines, errors, onnx_files, restored, work

ERROR_ROWS, LONG_ERROR_ROWS = 256, 2
WARM_UP = "warm-up"
ERRORS = "errors"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Series:
    """One model's engines on one set of rows."""

    def __init__(self, plan, line):
        self.plan, self.line = plan, line
        self.folder = Path(plan["work"])
        self.file = self.folder / "work.json"
        config = json.loads((Path(line["model"]) / "config.json").read_text(encoding="utf-8"))
        texts = self.texts(line["texts"])
        rows, self.workloads = work.workloads(texts, line["workloads"], line["long_rows"])
        self.rows = work.for_model(rows, config)
        self.complete(len(texts))
        work.write(self.file, self.rows, self.workloads)
        self.skipped = []

    def texts(self, count):
        if self.plan["sentences"] is None:
            return work.generated_rows(count)
        texts = work.sentences(self.plan["sentences"], count)
        return work.rows_of_texts(texts, self.plan["tokenizer"])

    def complete(self, texts):
        """Adds what is computed before the times are taken, and what errors are taken from."""
        measured = [batch for batches in self.workloads.values() for batch in batches]
        longest = max(measured, key=lambda batch: len(batch) * max(len(self.rows[place]) for place in batch))
        places = [*range(min(texts, ERROR_ROWS)), *self.workloads.get("long", [[]])[0][:LONG_ERROR_ROWS]]
        first = [[place] for place in range(8)]
        self.workloads |= {WARM_UP: [*first, longest], ERRORS: [[place] for place in places]}

    def start(self, line):
        """The engine's process, or None where it cannot be compared."""
        name, kind, model, setting = (line[key] for key in ("name", "kind", "model", "setting"))
        threads = self.plan["threads"]
        if kind == "native":
            command = engines.native(self.plan["native"], model, setting, threads, self.file)
        else:
            if kind == "onnx":
                model = onnx_files.make(model, Path(self.plan["onnx"]) / Path(model).name)[setting]
            command = engines.peer(kind, model, setting, threads, self.file)
        engine = engines.EngineProcess(name, command, threads)
        if "refused" in engine.about:
            self.skipped.append(f"{name}: {engine.about['refused']}")
            engine.close()
            return None
        computes = dict(engine.about.get("settings", [])).get("activations", "")
        if kind == "native" and setting != "default" and setting not in computes:
            self.skipped.append(f"{name}: the engine computes with {computes}")
            engine.close()
            return None
        return engine

    def run(self):
        say(f"{self.line['name']}: starting the engines")
        running = [engine for line in self.line["engines"] if (engine := self.start(line))]
        for engine in running:
            engine.take(WARM_UP)
        resident = {engine.name: engine.resident_bytes() for engine in running}
        rounds = {engine.name: {name: [] for name in self.line["workloads"]} for engine in running}
        for number in range(self.plan["rounds"]):
            say(f"{self.line['name']}: round {number + 1} of {self.plan['rounds']}")
            for name in self.line["workloads"]:
                for engine, times in taken(running, name).items():
                    rounds[engine][name].append(times)
        found = self.errors(running)
        about = {engine.name: engine.about for engine in running}
        for engine in running:
            engine.close()
        return {
            "name": self.line["name"], "skipped": self.skipped,
            "tokens": {name: self.tokens(name) for name in self.line["workloads"]},
            "rows": {name: sum(map(len, self.workloads[name])) for name in self.line["workloads"]},
            "engines": [{"name": name, "about": about[name], "resident_bytes": resident[name],
                         "rounds": rounds[name], **found.get(name, {})} for name in rounds],
        }

    def tokens(self, workload):
        return sum(len(self.rows[place]) for batch in self.workloads[workload] for place in batch)

    def errors(self, running):
        """Errors by engine: `error` against the original weights, `error_same_weights` against its own."""
        if not self.line["errors"]:
            return {}
        say(f"{self.line['name']}: errors")
        lengths = [len(self.rows[place]) for [place] in self.workloads[ERRORS]]
        lines = {line["name"]: line for line in self.line["engines"]}
        original, of_weights, found = self.reference(self.line["model"]), {}, {}
        for engine in running:
            states, line = self.hidden(engine), lines[engine.name]
            found[engine.name] = {"error": errors.compared(states, original, lengths)}
            if line.get("same_weights"):
                if line["model"] not in of_weights:
                    of_weights[line["model"]] = self.reference_of_converted(Path(line["model"]))
                same = errors.compared(states, of_weights[line["model"]], lengths)
                found[engine.name]["error_same_weights"] = same
        return found

    def reference_of_converted(self, folder):
        numbers = self.folder / "restored"
        restored.restore(folder, numbers)
        states = self.reference(str(numbers))
        shutil.rmtree(numbers)
        return states

    def reference(self, folder):
        engine = self.start({"name": "float64", "kind": "torch", "model": folder, "setting": "eager-float64"})
        states = self.hidden(engine)
        engine.close()
        return states

    def hidden(self, engine):
        file = self.folder / "hidden"
        about = engine.ask(f"hidden {file}")
        states = np.fromfile(file, about.get("dtype", "float32")).astype(np.float64)
        file.unlink()
        return states.reshape(-1, about["width"])


def taken(running, workload):
    """Of each engine, by its name, the median call of two passes and the mean of their sums, in seconds."""
    passes = {engine.name: [] for engine in running}
    for engine in [*running, *reversed(running)]:
        passes[engine.name].append(engine.take(workload))
    return {name: {"p50": statistics.median(first + second), "sum": (sum(first) + sum(second)) / 2}
            for name, (first, second) in passes.items()}


def main(file):
    with open(file, encoding="utf-8") as text:
        plan = json.load(text)
    for line in plan["series"]:
        print(json.dumps(Series(plan, line).run()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
