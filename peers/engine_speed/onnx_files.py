"""ONNX Runtime's int8 graphs of a BERT: as exported, and fused by its optimizer first."""

import json
import shutil
import tempfile
from pathlib import Path

NAMES = {"plain": "int8.onnx", "fused": "fused-int8.onnx"}


def make(folder, target):
    """The graphs of the model in `folder`, in `target`, made where they are missing."""
    files = {name: target / file for name, file in NAMES.items()}
    if not all(file.is_file() for file in files.values()):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as work:
            graphs(Path(folder), Path(work))
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name in NAMES.values():
                (Path(work) / name).rename(target / name)
    return files


def graphs(folder, work):
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers.optimizer import optimize_model

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    exported, fused = work / "model.onnx", work / "fused.onnx"
    export(folder, exported)
    optimized = optimize_model(str(exported), model_type="bert", num_heads=config["num_attention_heads"],
                               hidden_size=config["hidden_size"], opt_level=1)
    optimized.save_model_to_file(str(fused))
    for source, name in [(exported, "plain"), (fused, "fused")]:
        # Without the default type the fused graph is refused: the output of a fused node has none.
        quantize_dynamic(source, work / NAMES[name], weight_type=QuantType.QInt8, per_channel=True,
                         extra_options={"DefaultTensorType": 1})


def export(folder, file):
    import torch

    from engine_speed.loading import load

    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = load(folder, "eager", torch.float32)

        def forward(self, input_ids, attention_mask, token_type_ids):
            given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
            return self.model(**given).last_hidden_state

    ids = torch.tensor([[101, 2023, 2003, 102], [101, 2023, 102, 0]])
    mask = (ids != 0).long()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "length"} for name in [*names, "hidden"]}
    with torch.inference_mode():
        torch.onnx.export(Encoder(), (ids, mask, torch.zeros_like(ids)), file, input_names=names,
                          output_names=["hidden"], dynamic_axes=axes, opset_version=17, dynamo=False)
