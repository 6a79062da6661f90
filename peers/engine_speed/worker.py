"""A peer as one of the processes that take turns: the protocol of `engine_speed.rs`, for PyTorch and ONNX Runtime.

Arguments: kind (`torch` or `onnx`), folder or file of the model, setting (attention for torch), threads, work.
"""

import json
import sys
import time

import numpy as np


class Torch:
    """transformers' model in float32, or in float64 as the reference."""

    def __init__(self, folder, setting, threads):
        import torch
        import transformers

        from engine_speed.loading import load

        self.torch = torch
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        attention, _, dtype = setting.partition("-")
        self.model = load(folder, attention, getattr(torch, dtype or "float32"))
        self.version = f"PyTorch {torch.__version__}, transformers {transformers.__version__}"
        self.pools = self.model.base_model is self.model

    def predict(self, ids, mask):
        with self.torch.inference_mode():
            ids, mask = self.torch.from_numpy(ids), self.torch.from_numpy(mask)
            if not self.pools:
                return self.model(input_ids=ids, attention_mask=mask).logits
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            return (hidden * weights).sum(1) / weights.sum(1)

    def hidden(self, ids, mask):
        with self.torch.inference_mode():
            inputs = {"input_ids": self.torch.from_numpy(ids), "attention_mask": self.torch.from_numpy(mask)}
            return self.model.base_model(**inputs).last_hidden_state.numpy()


class Onnx:
    """A graph that `engine_speed.onnx_files` made."""

    def __init__(self, file, _setting, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        self.inputs = [given.name for given in self.session.get_inputs()]
        self.version = f"ONNX Runtime {onnxruntime.__version__}"

    def hidden(self, ids, mask):
        given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return self.session.run(None, {name: given[name] for name in self.inputs})[0]

    def predict(self, ids, mask):
        weights = mask[:, :, None].astype(np.float32)
        return (self.hidden(ids, mask) * weights).sum(1) / weights.sum(1)


def padded(rows):
    """Ids and mask of a batch, padded with 0 to its longest row."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for place, row in enumerate(rows):
        ids[place, :len(row)], mask[place, :len(row)] = row, 1
    return ids, mask


def timed(engine, inputs):
    start = time.perf_counter()
    engine.predict(*inputs)
    return time.perf_counter() - start


def write_hidden(engine, rows, file):
    states = [engine.hidden(*padded([row]))[0] for row in rows]
    np.concatenate(states).astype(np.float64).tofile(file)
    return states[0].shape[1]


def main(kind, model, setting, threads, file):
    try:
        engine = {"torch": Torch, "onnx": Onnx}[kind](model, setting, int(threads))
    except ValueError as error:
        # So transformers says that a model has no such attention.
        return print(json.dumps({"refused": str(error).partition(". ")[0]}))
    with open(file) as text:
        work = json.load(text)
    rows = work["rows"]
    print(json.dumps({"version": engine.version}), flush=True)
    for line in sys.stdin:
        command, argument = line.split()
        if command == "pass":
            inputs = [padded([rows[place] for place in batch]) for batch in work["workloads"][argument]]
            answer = {"seconds": [timed(engine, given) for given in inputs]}
        else:
            chosen = [rows[place] for [place] in work["workloads"]["errors"]]
            answer = {"width": write_hidden(engine, chosen, argument), "dtype": "float64"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
