"""Answers mlxq's worker protocol with PyTorch: see protocol.rs beside this file.

The reference must not share mistakes with what it judges: model, heads and pooling here are those of
transformers and of this script alone; only the token ids come from outside.
"""

import array
import json
import os
import sys
import time

# Libraries print; the protocol owns the real stdout.
OUT = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)

PROTOCOL = 2
POOLING_FLAGS = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
]


def read_json(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as file:
        return json.load(file)


class Refused(Exception):
    """A request that cannot be carried out, with the reason."""


def with_weights(module, folder, prefix):
    """`module` with the tensors of a folder whose names start with `prefix`, in float32."""
    file = os.path.join(folder, "model.safetensors")
    if os.path.isfile(file):
        from safetensors.torch import load_file

        tensors = load_file(file)
    else:
        tensors = torch.load(os.path.join(folder, "pytorch_model.bin"), map_location="cpu", weights_only=True)
    own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    module.load_state_dict(own)
    return module.eval()


def activation_of(path):
    """The class of torch.nn that a Dense module names; nothing else is ever imported."""
    found = getattr(torch.nn, path.rsplit(".", 1)[-1], None) if path.startswith("torch.nn.") else None
    if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
        raise Refused(f"the activation function {path} is no class of torch.nn")
    return found()


class Sentence:
    """What a sentence-transformers folder puts behind the encoder, by its classes of the same names."""

    def __init__(self, folder):
        self.modes, self.steps = ["mean"], []
        if not os.path.isfile(os.path.join(folder, "modules.json")):
            return
        for module in read_json(folder, "modules.json"):
            kind = module["type"].rsplit(".", 1)[-1]
            part = os.path.join(folder, module["path"])
            if kind == "Pooling":
                self.modes = self.read_modes(read_json(part, "config.json"))
            elif kind == "Normalize":
                self.steps.append(torch.nn.functional.normalize)
            elif kind == "Dense":
                self.steps.append(self.dense(part))
            elif kind == "LayerNorm":
                norm = torch.nn.LayerNorm(read_json(part, "config.json")["dimension"])
                self.steps.append(with_weights(norm, part, "norm."))
            elif kind not in ("Transformer", "Dropout"):
                raise Refused(f"modules.json: {kind} is not supported")

    @staticmethod
    def read_modes(settings):
        modes = settings.get("pooling_mode")
        if modes is None:
            return [name for flag, name in POOLING_FLAGS if settings.get(flag)]
        return [modes] if isinstance(modes, str) else list(modes)

    @staticmethod
    def dense(part):
        settings = read_json(part, "config.json")
        inner, outer = settings["in_features"], settings["out_features"]
        if settings.get("module_input_name", "sentence_embedding") != "sentence_embedding":
            raise Refused(f"{part}: the module reads {settings['module_input_name']}")
        linear = torch.nn.Linear(inner, outer, bias=settings.get("bias", True))
        with_weights(linear, part, "linear.")
        activation = activation_of(settings.get("activation_function", "torch.nn.modules.activation.Tanh"))
        if not settings.get("use_residual", False):
            return lambda x: activation(linear(x))
        if inner == outer:
            return lambda x: activation(linear(x)) + x
        residual = with_weights(torch.nn.Linear(inner, outer, bias=False), part, "residual.")
        return lambda x: activation(linear(x)) + residual(x)

    def __call__(self, hidden, mask):
        vectors = torch.cat([self.pool(mode, hidden, mask) for mode in self.modes], dim=1)
        for step in self.steps:
            vectors = step(vectors)
        return vectors

    @staticmethod
    def pool(mode, hidden, mask):
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        lengths = weights.sum(dim=1)
        if mode == "cls":
            return hidden[:, 0]
        if mode == "max":
            return hidden.masked_fill(weights == 0, float("-inf")).amax(dim=1)
        if mode == "mean":
            return (hidden * weights).sum(dim=1) / lengths
        if mode == "mean_sqrt_len_tokens":
            return (hidden * weights).sum(dim=1) / lengths.sqrt()
        if mode == "weightedmean":
            weights = weights * torch.arange(1, hidden.shape[1] + 1).view(1, -1, 1)
            return (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        if mode == "lasttoken":
            return hidden[torch.arange(hidden.shape[0]), mask.sum(dim=1) - 1]
        raise Refused(f"pooling mode {mode} is not supported")


class Served:
    """One model at a time, and rows for it."""

    def __init__(self):
        self.forget()

    def forget(self):
        self.offsets, self.ids, self.types = [0], [], []
        self.models, self.attention = {}, None
        self.untried = ["sdpa", "eager"]
        self.chosen = {}

    def ready(self, request, _):
        """The imports stand at the end of this file, before the first request is read."""
        return {"reply": "ready"}, b""

    def load(self, request, _):
        if request["protocol"] != PROTOCOL:
            raise Refused(f"speaks protocol {PROTOCOL}, not {request['protocol']}")
        self.forget()
        begun = time.perf_counter()
        folder = self.folder = request["model"]
        torch.set_num_threads(request["threads"])
        self.config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        names = self.config.architectures or []
        modules = os.path.isfile(os.path.join(folder, "modules.json"))
        self.head = not modules and any(n.endswith("ForSequenceClassification") for n in names)
        self.sentence = None if self.head else Sentence(folder)
        self.load_model()
        labels = [self.config.id2label[i] for i in range(self.config.num_labels)] if self.head else []
        info = {
            "engine": "torch",
            "version": f"python {sys.version.split()[0]}, torch {torch.__version__}, "
            f"transformers {transformers.__version__}",
            "device": f"cpu ({torch.backends.cpu.get_cpu_capability()})",
            "threads": torch.get_num_threads(),
            "output": "logits" if self.head else "embedding",
            "labels": labels,
            "settings": [
                ["dtype", "float32"],
                ["inference_mode", "true"],
                ["attention", "the faster of sdpa and eager on the rows"],
            ],
        }
        return {"reply": "loaded", "info": info, "load_seconds": time.perf_counter() - begun}, b""

    def load_model(self):
        """Loads the next of the attention implementations that the model has; whether there was one."""
        kind = transformers.AutoModelForSequenceClassification if self.head else transformers.AutoModel
        while self.untried:
            attention = self.untried.pop(0)
            try:
                model = kind.from_pretrained(
                    self.folder, local_files_only=True, dtype=torch.float32, attn_implementation=attention
                ).eval()
            except ValueError:
                continue
            self.share_weights(model)
            self.models[attention] = model
            self.attention = attention
            return True
        if not self.models:
            raise Refused("the model has neither sdpa nor eager attention")
        return False

    def share_weights(self, model):
        """Lets all models use the tensors of the first, so that memory counts one model."""
        for first in self.models.values():
            tensors = dict(first.named_parameters())
            for name, parameter in model.named_parameters():
                parameter.data = tensors[name].data

    def rows(self, request, payload):
        numbers = array.array("I")
        numbers.frombytes(payload)
        if sys.byteorder == "big":
            numbers.byteswap()
        rows, tokens = request["rows"], request["tokens"]
        self.offsets = numbers[: rows + 1].tolist()
        self.ids = numbers[rows + 1 : rows + 1 + tokens].tolist()
        self.types = numbers[rows + 1 + tokens :].tolist()
        self.chosen = {}
        self.choose_attention(1)
        return {"reply": "kept"}, b""

    def choose_attention(self, batch):
        """Times the attention implementations on the first rows, `batch` at a time, in turn, and keeps the
        faster for batches of that size.

        Eager attention is the faster one for short batches, sdpa for long ones. The second is loaded
        here, so that loading is timed for one model.
        """
        while self.load_model():
            pass
        rows = len(self.offsets) - 1
        if batch not in self.chosen and len(self.models) > 1 and rows > 0:
            parts = [(first, min(rows, first + batch)) for first in range(0, min(rows, max(20, batch)), batch)]
            spent = dict.fromkeys(self.models, 0.0)
            for turn in range(3):
                for name in self.models:
                    self.attention = name
                    begun = time.perf_counter()
                    for start, end in parts:
                        self.forward(start, end)
                    if turn:
                        spent[name] += time.perf_counter() - begun
            self.chosen[batch] = min(spent, key=spent.get)
        self.attention = self.chosen.get(batch, self.attention)

    def together(self, row):
        """Rows for which this is equal may be padded to one batch without changing each other's result."""
        ids = self.ids[self.offsets[row] : self.offsets[row + 1]]
        if getattr(self.config, "trigram_input", False):
            # MobileBERT reads the embeddings of a token's neighbours, be they padding.
            return len(ids)
        if self.head and self.config.model_type == "bart":
            # The head takes the last end of the row, and wants as many of them in every row.
            end = self.config.eos_token_id
            return ids.count(end), len(ids) if end == self.padding() else None
        return None

    def padding(self):
        return self.config.pad_token_id or 0

    def forward(self, start, end):
        """The vectors of the rows, in order, and the tokens computed, padding counted."""
        groups = {}
        for row in range(start, end):
            groups.setdefault(self.together(row), []).append(row)
        parts = [self.forward_padded(rows) for rows in groups.values()]
        if len(parts) == 1:
            return parts[0]
        order = [row for rows in groups.values() for row in rows]
        vectors = torch.cat([vectors for vectors, _ in parts])[torch.tensor(order).argsort()]
        return vectors, sum(computed for _, computed in parts)

    def forward_padded(self, rows):
        parts = [range(self.offsets[row], self.offsets[row + 1]) for row in rows]
        width = max(len(part) for part in parts)

        def padded(values, filler):
            return torch.tensor(
                [[values[i] for i in part] + [filler] * (width - len(part)) for part in parts]
            )

        mask = torch.tensor([[1] * len(part) + [0] * (width - len(part)) for part in parts])
        inputs = {"input_ids": padded(self.ids, self.padding()), "attention_mask": mask}
        if getattr(self.config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = padded(self.types, 0)
        with torch.inference_mode():
            outputs = self.models[self.attention](**inputs)
            vectors = outputs.logits if self.head else self.sentence(outputs.last_hidden_state, mask)
        return vectors, mask.numel()

    def compute(self, start, end, batch):
        for first in range(start, end, batch):
            begun = time.perf_counter_ns()
            vectors, computed = self.forward(first, min(end, first + batch))
            vectors = vectors.contiguous().numpy()
            yield vectors, computed, time.perf_counter_ns() - begun

    def predict(self, request, _):
        rows = len(self.offsets) - 1
        parts = [vectors for vectors, _, _ in self.compute(0, rows, request["batch"])]
        cols = parts[0].shape[1] if parts else 0
        payload = b"".join(part.astype("<f4").tobytes() for part in parts)
        return {"reply": "output", "rows": rows, "cols": cols, "bytes": len(payload)}, payload

    def time(self, request, _):
        start, end = request["start"], request["end"]
        self.choose_attention(request["batch"])
        calls, padded = [], 0
        for _, computed, elapsed in self.compute(start, end, request["batch"]):
            calls.append(elapsed)
            padded += computed
        tokens = self.offsets[end] - self.offsets[start]
        return {"reply": "timed", "call_ns": calls, "tokens": tokens, "padded_tokens": padded}, b""


def main():
    served = Served()
    source = sys.stdin.buffer
    while line := source.readline():
        request = json.loads(line)
        payload = source.read(request.get("bytes", 0))
        name = request["request"]
        if name == "quit":
            return
        try:
            reply, raw = getattr(served, name)(request, payload)
        except Exception as error:
            reply, raw = {"reply": "failed", "error": f"{type(error).__name__}: {error}"}, b""
        OUT.write(json.dumps(reply).encode() + b"\n" + raw)
        OUT.flush()


import torch
import transformers

# Only once a process, and before any work.
torch.set_num_interop_threads(1)
transformers.logging.set_verbosity_error()
main()
