"""Makes the folders of the tables."""

import json
import shutil

import torch
from safetensors.torch import load_file, save_file
from tiny import decoders, encoders
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers.decoders import ByteLevel
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
)
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()
torch.set_num_threads(1)

OLD_GPT2 = "transformer."
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def randomize(model, seed):
    """Every parameter random, norms and biases too, so that an exchange of two shows."""
    made = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in sorted(model.named_parameters()):
            noise = torch.randn(value.shape, generator=made)
            value.copy_(1 + noise / 4 if value.dim() == 1 and name.endswith("weight") else noise / 8)
    return model.eval()


def tokenizer(folder):
    """One token for each byte, and the special ones."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate(SPECIAL + alphabet)}
    made = Tokenizer(models.BPE(vocabulary, []))
    made.add_special_tokens(SPECIAL)
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = ByteLevel()
    made.save(str(folder / "tokenizer.json"))
    write(folder / "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 128, "add_bos_token": False,
        "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
    })
    write(folder / "special_tokens_map.json", {"bos_token": "<s>", "eos_token": "</s>"})


def scaling(rope):
    """What stood in `rope_scaling` before transformers 5, of one set of rope parameters."""
    if rope.get("rope_type", "default") == "default":
        return None
    kept = {key: rope[key] for key in rope if key not in ("rope_theta", "partial_rotary_factor")}
    return kept | {"type": rope["rope_type"]}


def legacy_keys(config):
    """The keys which clients read and transformers 5 no longer writes, where `config` lacks them."""
    rope, kind = config.get("rope_parameters") or {}, config["model_type"]
    found = {}
    if kind == "modernbert" and rope:
        found["global_rope_theta"] = rope["full_attention"]["rope_theta"]
        found["local_rope_theta"] = rope["sliding_attention"]["rope_theta"]
    elif "full_attention" in rope:
        full, local = rope["full_attention"], rope["sliding_attention"]
        found = {"rope_theta": full["rope_theta"], "rope_local_base_freq": local["rope_theta"]}
        found["rope_scaling"] = scaling(full)
        found["sliding_window_pattern"] = config.get("_sliding_window_pattern")
    elif rope:
        found = {key: rope.get(key) for key in ("rope_theta", "partial_rotary_factor")}
        found["rope_scaling"] = scaling(rope)
    if kind == "deepseek_v2":  # an object, always: this one changes nothing
        found["rope_scaling"] = found.get("rope_scaling") or {"type": "yarn", "factor": 1.0}
    if kind == "gpt2":
        found["n_ctx"] = config["n_positions"]
    if kind == "gpt_neox":
        found |= {"rotary_emb_base": rope.get("rope_theta"), "rotary_pct": rope.get("partial_rotary_factor")}
    if kind == "qwen3_moe":
        found["num_experts"] = config.get("num_local_experts")
    return {key: value for key, value in found.items() if value is not None and key not in config}


def published(config):
    """The configuration as checkpoints from before transformers 5 have it."""
    old = config | legacy_keys(config)
    old["torch_dtype"] = old.pop("dtype")
    old["transformers_version"] = "4.51.0"
    new = {"rope_parameters", "_sliding_window_pattern"}
    if config["model_type"] == "qwen3_moe":
        new.add("num_local_experts")
    return {key: value for key, value in old.items() if key not in new}


def extra_tensors(kind, tensors, config):
    """Tensors that published files have and transformers does not write."""
    layers = config.get("num_hidden_layers") or config.get("n_layer")
    if kind == "lm_head":
        return tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}
    if kind == "inv_freq":
        name = "model.layers.{}.self_attn.rotary_emb.inv_freq"
        return tensors | {name.format(i): torch.arange(8.0) for i in range(layers)}
    if kind == "masked_bias":
        mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
        for i in range(layers):
            base = f"gpt_neox.layers.{i}.attention."
            tensors |= {base + "bias": mask.clone(), base + "masked_bias": torch.tensor(-1e9),
                        base + "rotary_emb.inv_freq": torch.arange(8.0)}
        return tensors
    if kind == "hub":
        tensors = {name.removeprefix(OLD_GPT2): value for name, value in tensors.items()}
        return tensors | {f"h.{i}.attn.bias": torch.ones(1, 1, 8, 8) for i in range(layers)}
    raise KeyError(kind)


def one_file(folder, change):
    """Writes the tensors again, changed, in one file."""
    tensors = {}
    for file in sorted(folder.glob("model*.safetensors")):
        tensors |= load_file(file)
        file.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    save_file(change(tensors), folder / "model.safetensors", {"format": "pt"})


def save(folder, model, line):
    """Writes a model of random weights with its tokenizer; the configuration in the form that is wanted."""
    randomize(model, seed=20261124).to(getattr(torch, line.get("dtype", "float32")))
    model.save_pretrained(folder, max_shard_size=line.get("shard", "5GB"))
    tokenizer(folder)
    written = read(folder / "config.json")
    return written if line.get("form") == "v5" else published(written)


def decoder(folder, kind, name):
    """Makes the variant `name` of the decoder `kind` in `folder`, which must not exist."""
    line = decoders.VARIANTS[kind][name]
    shape = ({} if kind == "gpt2" else decoders.BASE) | decoders.SHAPES.get(kind, {}) | line["config"]
    written = save(folder, AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape)), line)
    if stated := line.get("stated"):
        written["torch_dtype"] = stated
    if generation := line.get("generation"):
        path = folder / "generation_config.json"
        write(path, read(path) | generation)
    for key in line.get("without", []):
        written.pop(key)
    write(folder / "config.json", written)
    if kind_of_extra := line.get("extra"):
        one_file(folder, lambda tensors: extra_tensors(kind_of_extra, tensors, written))
    return folder


def twin(source, folder, kind, name):
    """The folder that mlx_lm takes, of one that it does not take: `source` itself where it does."""
    how = decoders.VARIANTS[kind][name].get("twin")
    if how is None:
        return source
    shutil.copytree(source, folder)
    if how == "keys":
        config = read(folder / "config.json")
        write(folder / "config.json", config | legacy_keys(config))
    elif how == "no head":
        one_file(folder, lambda tensors: {n: tensors[n] for n in tensors if n != "lm_head.weight"})
    elif how == "no prefix":
        one_file(folder, lambda tensors: {n.removeprefix(OLD_GPT2): tensors[n] for n in tensors})
    return folder


HEADS = {"base": AutoModel, "classify": AutoModelForSequenceClassification, "mlm": AutoModelForMaskedLM}


def older(how, tensors, prefix):
    """What published files have otherwise: old names, buffers, tied tensors a second time."""
    if how == "gamma":
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        endings = {name: next((end for end in old if name.endswith(end)), "") for name in tensors}
        return {name.removesuffix(end) + old.get(end, "") if end else name: tensors[name]
                for name, end in endings.items()}
    if how == "position_ids":
        start = prefix if any(name.startswith(prefix) for name in tensors) else ""
        return tensors | {f"{start}embeddings.position_ids": torch.arange(40)[None]}
    if how == "embed_tokens":
        shared = tensors[f"{prefix}shared.weight"]
        parts = ("encoder", "decoder")
        return tensors | {f"{prefix}{part}.embed_tokens.weight": shared.clone() for part in parts}
    tables = ("word_embeddings.weight", "tok_embeddings.weight")
    table = next(name for name in tensors if name.endswith(tables))
    return tensors | {f"{how}.weight": tensors[table].clone()}  # the tied output matrix


def encoder(folder, kind, name):
    """Makes the variant `name` of the encoder `kind` in `folder`, which must not exist."""
    line = encoders.VARIANTS[kind][name]
    base = encoders.WITHOUT_BASE if kind in ("distilbert", "bart") else encoders.BASE
    shape = base | encoders.SHAPES.get(kind, {}) | line.get("config", {})
    labels = {"num_labels": 3} if line["head"] == "classify" else {}
    config = AutoConfig.for_model(kind, **shape, **labels)
    write(folder / "config.json", save(folder, HEADS[line["head"]].from_config(config), line))
    for how in line.get("old", []):
        one_file(folder, lambda tensors, how=how: older(how, tensors, encoders.PREFIXES[kind]))
    if pooling := line.get("pooling"):
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize")]
        write(folder / "modules.json", [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{module}"}
            for i, (path, module) in enumerate(kinds)
        ])
        write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
        (folder / "1_Pooling").mkdir()
        write(folder / "1_Pooling/config.json", pooling)
    return folder
