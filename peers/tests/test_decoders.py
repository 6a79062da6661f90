"""Decoders of every type, against mlx_lm itself: every tensor, the configuration, the index, the logits."""

import shutil

import folders
import mlx.core as mx
import numpy as np
import pytest
import torch
from conftest import mlxq
from mlx_lm_peer import DIFFERENCES, IDS, convert, differences, logits, routers_kept
from safetensors.torch import load_file, save_file
from tiny import build
from tiny.decoders import VARIANTS

ALL = [(kind, name) for kind, names in VARIANTS.items() for name in names if name != "nothing-fits"]
MODES = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
RECIPES = ["mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6"]
WITH_RECIPE = [("llama", "eight-layers"), ("phi3", "untied"), ("deepseek_v2", "latent"),
               ("qwen3_moe", "untied"), ("granite", "untied"), ("granitemoe", "untied")]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Makes each checkpoint once; gives it and its twin that mlx_lm takes."""
    made, root = {}, tmp_path_factory.mktemp("decoders")

    def make(kind, name):
        if (kind, name) not in made:
            source = build.decoder(root / f"{kind}-{name}", kind, name)
            made[kind, name] = source, build.twin(source, root / f"{kind}-{name}-twin", kind, name)
        return made[kind, name]

    return make


def both(checkpoint, kind, name, tmp_path, mode="affine", bits=8, group_size=64, recipe=None, dtype=None):
    """What distinguishes the conversions of one checkpoint."""
    source, twin = checkpoint(kind, name)
    how = {"q_mode": mode, "q_bits": bits, "q_group_size": group_size, "quant_predicate": recipe,
           "dtype": dtype}
    options = {"--" + key.replace("_", "-"): value for key, value in how.items() if value is not None}
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    with routers_kept():
        convert(twin, theirs, quantize=True, **how)
    mlxq("convert", "--hf-path", source, "--mlx-path", ours, "-q", *sum(options.items(), ()))
    return differences(ours, theirs, source)


@pytest.mark.parametrize(("bits", "group_size"), [(8, 64), (4, 32)])
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_variant_is_converted_as_mlx_lm_does(checkpoint, tmp_path, kind, name, bits, group_size):
    assert both(checkpoint, kind, name, tmp_path, bits=bits, group_size=group_size) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("kind", "name"), [
    ("llama", "untied"), ("granite", "untied"), ("qwen3_moe", "untied"),
])
def test_every_mode(checkpoint, tmp_path, kind, name, mode):
    bits, group_size = MODES[mode]
    assert both(checkpoint, kind, name, tmp_path, mode, bits, group_size) == []


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("kind", "name"), WITH_RECIPE)
def test_every_recipe(checkpoint, tmp_path, kind, name, recipe):
    # Without a group size mlx_lm writes nulls, ours the default.
    group_size = None if recipe == "mixed_3_4" else 32
    found = both(checkpoint, kind, name, tmp_path, bits=4, group_size=group_size, recipe=recipe)
    assert found == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(("kind", "name"), [("llama", "tied"), ("gpt2", "hub"), ("deepseek_v2", "latent")])
def test_every_dtype(checkpoint, tmp_path, kind, name, dtype):
    assert both(checkpoint, kind, name, tmp_path, group_size=32, dtype=dtype) == []


def test_nothing_to_quantize_is_refused(checkpoint, tmp_path):
    source, _ = checkpoint("llama", "nothing-fits")
    theirs = convert(source, tmp_path / "theirs", quantize=True, q_bits=8, q_group_size=64)
    assert not any(name.endswith(".scales") for name in folders.tensors(theirs)), DIFFERENCES["nothing fits"]
    arguments = ["--hf-path", source, "--mlx-path", tmp_path / "ours", "--q-bits", 8, "--q-group-size", 64]
    mlxq("convert", *arguments, codes=(3,))
    assert not (tmp_path / "ours").exists()


REFUSED = [(kind, name) for kind, name in ALL if "error" in VARIANTS[kind][name]]


@pytest.mark.parametrize(("kind", "name"), REFUSED)
def test_mlx_lm_still_refuses_what_the_table_says(checkpoint, tmp_path, kind, name):
    """If this fails, mlx_lm has learnt it: take `mlx_lm_fails` out of the table."""
    source, _ = checkpoint(kind, name)
    with pytest.raises(Exception, match=VARIANTS[kind][name]["error"]):
        convert(source, tmp_path / "theirs", quantize=True, q_bits=8, q_group_size=64)


SILENT = [(kind, name) for kind, name in ALL
          if "mlx_lm_fails" in VARIANTS[kind][name] and "error" not in VARIANTS[kind][name]]


@pytest.mark.parametrize(("kind", "name"), SILENT)
def test_mlx_lm_still_computes_something_else_without_the_keys(checkpoint, kind, name):
    source, twin = checkpoint(kind, name)
    assert not mx.array_equal(logits(source), logits(twin))


V5 = [(kind, name) for kind, name in ALL if VARIANTS[kind][name].get("form") == "v5"]


@pytest.mark.parametrize(("kind", "name"), V5)
def test_the_keys_mean_what_transformers_computes(checkpoint, kind, name):
    """The twins of this form, in mlx_lm, beside transformers on the sources: both float32."""
    source, twin = checkpoint(kind, name)
    assert close(np.array(logits(twin)), transformers_logits(source))


def transformers_logits(folder):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        return model(torch.tensor(IDS)).logits.numpy()


def close(ours, theirs):
    """Equal but for the order of sums and, in some types, another formula of GELU."""
    return np.abs(ours - theirs).max() < 1e-3 * np.abs(theirs).max()


def test_dequantized_tensors_are_those_of_mlx_lm(checkpoint, tmp_path):
    source, _ = checkpoint("llama", "untied")
    quantized = convert(source, tmp_path / "quantized", quantize=True, q_bits=6, q_group_size=32)
    theirs = convert(quantized, tmp_path / "theirs", dequantize=True)
    mlxq("convert", "-d", "--hf-path", quantized, "--mlx-path", tmp_path / "ours")
    assert folders.of_tensors(folders.tensors(tmp_path / "ours"), folders.tensors(theirs)) == []
    config = folders.read(tmp_path / "ours/config.json")
    assert not {"quantization", "quantization_config"} & set(config)


@pytest.mark.parametrize(("kind", "name"), [
    ("llama", "tied"), ("qwen2", "v5"), ("gpt2", "hub"), ("mixtral", "odd"),
    ("gpt_neox", "serial"), ("granitemoe", "untied"),
])
def test_transformers_loads_what_was_dequantized(checkpoint, tmp_path, kind, name):
    _, twin = checkpoint(kind, name)
    quantized = convert(twin, tmp_path / "quantized", quantize=True, q_bits=8, q_group_size=32)
    mlxq("convert", "-d", "--hf-path", quantized, "--mlx-path", tmp_path / "ours")
    assert close(transformers_logits(tmp_path / "ours"), np.array(logits(quantized)))


def test_numbers_that_are_not_finite(checkpoint, tmp_path):
    """Refused with their place, or converted as mlx does, which says nothing of them."""
    made, _ = checkpoint("llama", "tied")
    source = shutil.copytree(made, tmp_path / "source")
    name, file = "model.layers.0.mlp.up_proj.weight", source / "model.safetensors"
    tensors = load_file(file)
    weight = tensors[name]
    weight[1, 2], weight[3, 40], weight[3, 41] = torch.nan, torch.inf, -torch.inf
    save_file(tensors, file, {"format": "pt"})
    plain = ["convert", "--hf-path", source, "--mlx-path", tmp_path / "ours", "--q-group-size", 32]
    mlxq(*plain, codes=[3])
    mlxq(*plain, "--allow-non-finite")
    theirs = convert(source, tmp_path / "theirs", quantize=True, q_bits=8, q_group_size=32)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "ours", theirs))
    assert set(ours) == set(theirs)
    for part, tensor in ours.items():
        if tensor.is_floating_point():
            # The bits of a NaN are the processor's; all else is compared to the bit.
            lost = torch.isnan(tensor)
            assert torch.equal(lost, torch.isnan(theirs[part])), part
            tensor[lost], theirs[part][lost] = 0, 0
        assert tensor.dtype == theirs[part].dtype
        assert torch.equal(tensor.view(torch.uint8), theirs[part].view(torch.uint8)), part


def flip_a_bit(folder):
    file = folder / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-100] ^= 1
    file.write_bytes(raw)


def lose_a_tensor(folder):
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("model.norm.weight")
    save_file(tensors, folder / "model.safetensors", {"format": "mlx"})


def change_config(change):
    def apply(folder):
        config = folders.read(folder / "config.json")
        change(config)
        build.write(folder / "config.json", config)
    return apply


def change_index(folder):
    index = folders.read(folder / "model.safetensors.index.json")
    index["metadata"]["total_parameters"] += 1
    build.write(folder / "model.safetensors.index.json", index)


SEEDED = {
    "a flipped bit": flip_a_bit,
    "a missing tensor": lose_a_tensor,
    "other bits": change_config(lambda config: config["quantization"].update(bits=4)),
    "a superfluous entry": change_config(lambda config: config["quantization"].update(lm_head=False)),
    "a lost key": change_config(lambda config: config.pop("rope_theta")),
    "a wrong dtype": change_config(lambda config: config.update(torch_dtype="float32")),
    "a wrong count": change_index,
    "another tokenizer": lambda folder: (folder / "tokenizer.json").write_text("{}"),
}


@pytest.fixture(scope="module")
def equal(checkpoint, tmp_path_factory):
    """mlx_lm's conversion, and a copy of it with the source's tokenizer."""
    source, _ = checkpoint("llama", "tied-head")
    theirs = convert(source, tmp_path_factory.mktemp("equal") / "theirs",
                     quantize=True, q_bits=8, q_group_size=64)
    ours = theirs.with_name("ours")
    shutil.copytree(theirs, ours)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(source / name, ours)
    return ours, theirs, source


def test_the_comparison_finds_no_fault_in_a_copy(equal):
    assert differences(*equal) == []


@pytest.mark.parametrize("fault", SEEDED)
def test_the_comparison_finds_a_seeded_fault(equal, tmp_path, fault):
    ours, theirs, source = equal
    broken = tmp_path / "broken"
    shutil.copytree(ours, broken)
    SEEDED[fault](broken)
    assert differences(broken, theirs, source) != []
