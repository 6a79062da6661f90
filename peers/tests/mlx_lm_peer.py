"""mlx_lm's converter in this process, and what ours does otherwise on purpose."""

import contextlib
import io
import sys

import folders
import mlx.core as mx
from mlx_lm.utils import load_model
from tiny.build import legacy_keys

# Where ours differs from mlx_lm 0.32.2 on purpose, with the reason; `docs/differences-from-mlx-lm.md` says
# the same in words. What is not here must be equal: tensors by their bytes, config.json key by key.
DIFFERENCES = {
    "entries": "every entry of `quantization` holds group_size, bits and mode, none of them null: Swift "
               "clients cannot read others",
    "dtype": "`dtype` and `torch_dtype` name the format that was written",
    "legacy keys": "keys that clients read and transformers 5 no longer writes are added (`build.legacy_keys`)",
    "tied head": "a tied lm_head in the file is dropped for every type, and a prefix `transformer.` of gpt2",
    "routers": "a recipe leaves a router at the 8 bits that the model type asks for",
    "nothing fits": "a conversion that would quantize nothing is refused",
    "tokenizer": "the files of the tokenizer are the source's, byte for byte",
}
ROUTERS = {"qwen3_moe": "mlp.gate", "granitemoe": "block_sparse_moe.router.layer"}
DEFAULT_GROUP = {"affine": 64, "mxfp4": 32, "mxfp8": 32, "nvfp4": 16}
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")
FORMATS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
IDS = [[1] + [(7 * place + row) % 200 + 5 for place in range(24)] for row in (3, 8)]


def convert(source, out, **how):
    """`mlx_lm.convert`, its talk left out."""
    from mlx_lm import convert as function

    mx.set_default_device(mx.cpu)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        function(str(source), str(out), **how)
    return out


@contextlib.contextmanager
def routers_kept():
    """Within, a recipe of mlx_lm asks the model type first about its router."""
    module = sys.modules["mlx_lm.convert"]
    builder = module.mixed_quant_predicate_builder

    def building(recipe, model, *rest):
        mixed, own = builder(recipe, model, *rest), getattr(model, "quant_predicate", None)
        ending = ROUTERS.get(model.args.model_type, "no router")
        return lambda path, layer: own(path, layer) if path.endswith(ending) else mixed(path, layer)

    module.mixed_quant_predicate_builder = building
    try:
        yield
    finally:
        module.mixed_quant_predicate_builder = builder


def float_format(tensors):
    """The one format of all floats in a folder, as configurations name it."""
    (name,) = {FORMATS[kind] for kind, _, _ in tensors.values() if kind in FORMATS}
    return name


def expected_config(theirs, tensors):
    """What ours must write where mlx_lm writes `theirs`; mlx_lm was given the legacy keys."""
    config = theirs | {key: float_format(tensors) for key in ("dtype", "torch_dtype") if key in theirs}
    if "quantization" in config:
        block = dict(config["quantization"])
        for path, entry in block.items():
            if isinstance(entry, dict):
                mode = entry.get("mode", "affine")
                size = entry["group_size"] or DEFAULT_GROUP[mode]
                block[path] = {"group_size": size, "bits": entry["bits"], "mode": mode}
        config["quantization"] = config["quantization_config"] = block
    return config


def logits(folder):
    """What mlx_lm computes with a folder for two fixed rows of ids."""
    mx.set_default_device(mx.cpu)
    model, _ = load_model(folder)
    output = model(mx.array(IDS))
    mx.eval(output)
    return output


def differences_in_files(ours, theirs, source):
    """What distinguishes the files of our folder from mlx_lm's, all that is not allowed."""
    own, other = folders.tensors(ours), folders.tensors(theirs)
    found = folders.of_tensors(own, other)
    config = folders.read(ours / "config.json")
    found += folders.of_objects("config", config, expected_config(folders.read(theirs / "config.json"), other))
    found += [f"config: {key} is missing" for key in legacy_keys(config)]
    found += folders.of_index(ours, folders.read(theirs / "model.safetensors.index.json")["metadata"])
    return found + folders.of_files(ours, source, TOKENIZER)


def differences(ours, theirs, source):
    """The same, and of what mlx_lm computes with the two; empty if there are none."""
    found = differences_in_files(ours, theirs, source)
    if not found:
        a, b = logits(ours), logits(theirs)
        if a.dtype != b.dtype or not mx.array_equal(a.view(mx.uint8), b.view(mx.uint8)):
            found.append("other logits")
    return found
