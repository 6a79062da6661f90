"""Encoders of every type: the folder that our own layout asks for, computed here with MLX's quantization."""

import folders
import mlx.core as mx
import numpy as np
import pytest
import torch
from conftest import ROOT, mlxq
from tiny import build
from tiny.encoders import BASE_CLASSES, PREFIXES, VARIANTS

ALL = [(kind, name) for kind, names in VARIANTS.items() for name in names]
# Buffers, and BART's table a second and a third time.
DROPPED = ("position_ids", "token_type_ids", "embed_tokens.weight")
OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# Tables whose rows are not looked up by a client's Embedding, and linear layers of a head.
FLOAT = ("relative_attention_bias", "pooler.dense")
FLAGS = {
    "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max", "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean", "pooling_mode_lasttoken": "lasttoken",
}
COPIED = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "modules.json",
          "sentence_bert_config.json", "config_sentence_transformers.json", "generation_config.json")
NAMES = {mx.float32: "F32", mx.float16: "F16", mx.bfloat16: "BF16", mx.uint32: "U32", mx.uint8: "U8"}


def is_embedding(source):
    """An embedding model by modules.json, else by its class: every head but a classifier's is dropped."""
    (architecture,) = folders.read(source / "config.json")["architectures"]
    return (source / "modules.json").is_file() or not architecture.endswith("ForSequenceClassification")


def source_tensors(source, prefix):
    """Name of today, whether it belongs to the base model, and value of every tensor that is a weight."""
    loaded = {}
    for file in sorted(source.glob("*.safetensors")):
        loaded |= mx.load(str(file))
    for file in sorted(source.glob("*.bin")):
        values = torch.load(file, weights_only=True)
        loaded |= {name: mx.array(value.contiguous().numpy()) for name, value in values.items()}
    prefixed = any(name.startswith(prefix) for name in loaded)
    for name, value in loaded.items():
        if name.endswith(DROPPED):
            continue
        old = next((ending for ending in OLD_ENDINGS if name.endswith(ending)), None)
        today = name.removesuffix(old) + OLD_ENDINGS[old] if old else name
        yield today, name.startswith(prefix) or not prefixed, value


def is_quantized(name, value, group_size):
    return (name.endswith(".weight") and value.ndim == 2 and value.shape[1] % group_size == 0
            and value.size % 64 == 0 and not name.removesuffix(".weight").endswith(FLOAT))


def raw(value):
    mx.eval(value)
    content = np.array(value.view(mx.uint8)).tobytes()
    return NAMES[value.dtype], tuple(value.shape), content


def expected(source, dtype=None, **how):
    """The tensors of the converted folder, their number of parameters and the format of floats."""
    mx.set_default_device(mx.cpu)
    kind = folders.read(source / "config.json")["model_type"]
    embedding, prefix = is_embedding(source), PREFIXES[kind]
    found, parameters, formats = {}, 0, set()
    for name, in_base, value in source_tensors(source, prefix):
        if embedding and not in_base:
            continue
        name = name.removeprefix(prefix) if embedding else name
        half = mx.bfloat16 if kind == "modernbert" else mx.float16
        usual = value.dtype if value.dtype in (mx.bfloat16, half) else half
        value = value.astype(dtype or usual)
        formats.add(str(value.dtype).removeprefix("mlx.core."))
        parameters += value.size
        if in_base and is_quantized(name, value, how["group_size"]):
            module = name.removesuffix(".weight")
            parts = zip(("weight", "scales", "biases"), mx.quantize(value, **how), strict=False)
            found |= {f"{module}.{part}": raw(packed) for part, packed in parts}
        else:
            found[name] = raw(value)
    (written,) = formats
    return found, parameters, written


def pooling_modes(settings):
    modes = settings.get("pooling_mode") or [mode for flag, mode in FLAGS.items() if settings.get(flag)]
    return [modes] if isinstance(modes, str) else modes


def expected_pooling(settings):
    """Both forms of the Pooling module's settings."""
    modes = pooling_modes(settings)
    size = settings.get("embedding_dimension") or settings["word_embedding_dimension"]
    union = {"include_prompt": True, "pooling_mode": modes[0] if len(modes) == 1 else modes} | settings
    union |= {"embedding_dimension": size, "word_embedding_dimension": size}
    return union | {flag: mode in modes for flag, mode in FLAGS.items()}


def expected_config(source, written, **how):
    config = folders.read(source / "config.json")
    config |= build.legacy_keys(config) | {key: written for key in ("dtype", "torch_dtype") if key in config}
    config.pop("_name_or_path", None)
    config["quantization"] = config["quantization_config"] = how
    if is_embedding(source):
        config["architectures"] = [BASE_CLASSES[config["model_type"]]]
        pooling = source / "1_Pooling/config.json"
        if config["model_type"] == "modernbert" and pooling.is_file():
            (config["classifier_pooling"],) = pooling_modes(folders.read(pooling))
    return config


def differences(ours, source, dtype=None, **how):
    """What distinguishes our folder from the expected one; empty if nothing does."""
    wanted, parameters, written = expected(source, dtype, **how)
    found = folders.of_tensors(folders.tensors(ours), wanted)
    config = expected_config(source, written, **how)
    found += folders.of_objects("config", folders.read(ours / "config.json"), config)
    size = sum(len(content) for _, _, content in wanted.values())
    found += folders.of_index(ours, {"total_size": size, "total_parameters": parameters})
    found += folders.of_files(ours, source, COPIED)
    if (source / "1_Pooling").is_dir():
        union = expected_pooling(folders.read(source / "1_Pooling/config.json"))
        found += folders.of_objects("pooling", folders.read(ours / "1_Pooling/config.json"), union)
    return found


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    made, root = {}, tmp_path_factory.mktemp("encoders")

    def make(kind, name):
        if (kind, name) not in made:
            made[kind, name] = build.encoder(root / f"{kind}-{name}", kind, name)
        return made[kind, name]

    return make


def converted(source, out, mode="affine", bits=8, group_size=64, dtype=None):
    given = [] if dtype is None else ["--dtype", dtype]
    mlxq("convert", "--hf-path", source, "--mlx-path", out, "--q-mode", mode, "--q-bits", bits,
         "--q-group-size", group_size, *given)
    return out


@pytest.mark.parametrize(("bits", "group_size"), [(8, 64), (4, 32)])
@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_variant_has_the_layout(checkpoint, tmp_path, kind, name, bits, group_size):
    source = checkpoint(kind, name)
    how = {"group_size": group_size, "bits": bits, "mode": "affine"}
    assert differences(converted(source, tmp_path / "ours", **how), source, **how) == []


@pytest.mark.parametrize("mode", [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)])
@pytest.mark.parametrize(("kind", "name"), [
    ("bart", "classify"), ("deberta-v2", "v2"), ("modernbert", "classify"),
])
def test_every_mode(checkpoint, tmp_path, kind, name, mode):
    source = checkpoint(kind, name)
    how = dict(zip(("mode", "bits", "group_size"), mode, strict=True))
    assert differences(converted(source, tmp_path / "ours", **how), source, **how) == []


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(("kind", "name"), [("mpnet", "classify"), ("modernbert", "embedding")])
def test_the_dtype_that_is_asked_for(checkpoint, tmp_path, kind, name, dtype):
    source = checkpoint(kind, name)
    how = {"group_size": 64, "bits": 8, "mode": "affine"}
    ours = converted(source, tmp_path / "ours", dtype=dtype, **how)
    assert differences(ours, source, getattr(mx, dtype), **how) == []


SHARED = ["bart-nli", "bert-goemotions", "bert-nli", "deberta-v3-nli-binary", "distilbert-sst2",
          "minilm-reranker", "mobilebert-trec", "modernbert-agnews", "mpnet-emotion", "roberta-agnews",
          "sbert-tiny", "xlm-roberta-stsb"]


@pytest.mark.parametrize("name", SHARED)
def test_trained_models_have_the_layout(shared, tmp_path, name):
    # Groups of 32: the 120 columns of bert-nli hold no 64, its 480 hold 15 of 32.
    source = shared / "models" / name
    how = {"group_size": 32, "bits": 8, "mode": "affine"}
    assert differences(converted(source, tmp_path / "ours", **how), source, **how) == []


IDS = [[1, *range(5, 28), 2]]


def mlx_embeddings_output(folder):
    from mlx_embeddings.utils import load_model

    mx.set_default_device(mx.cpu)
    ids = mx.array(IDS)
    return load_model(folder)(ids, attention_mask=mx.ones_like(ids))


@pytest.mark.parametrize(("kind", "name"), [
    ("bert", "embedding"), ("bert", "embedding-of-classifier"), ("xlm-roberta", "embedding"),
    ("modernbert", "embedding"), ("modernbert", "embedding-cls"), ("modernbert", "embedding-of-mlm"),
])
def test_mlx_embeddings_agrees_with_transformers(checkpoint, tmp_path, kind, name):
    from transformers import AutoModel

    source = checkpoint(kind, name)
    ours = converted(source, tmp_path / "ours")
    theirs = np.array(mlx_embeddings_output(ours).text_embeds.astype(mx.float32))[0]
    model = AutoModel.from_pretrained(source, dtype=torch.float32).eval()
    with torch.inference_mode():
        hidden = model(torch.tensor(IDS)).last_hidden_state[0].numpy()
    # mlx-embeddings takes the mean for BERT and XLM-R whatever 1_Pooling says.
    first = kind == "modernbert" and VARIANTS[kind][name]["pooling"].get("pooling_mode_cls_token")
    vector = hidden[0] if first else hidden.mean(axis=0)
    cosine = theirs @ vector / np.linalg.norm(theirs) / np.linalg.norm(vector)
    assert cosine > 0.998


def test_mlx_embeddings_classifies_as_transformers_does(checkpoint, tmp_path):
    from transformers import AutoModelForSequenceClassification

    source = checkpoint("modernbert", "classify")
    output = mlx_embeddings_output(converted(source, tmp_path / "ours")).pooler_output
    model = AutoModelForSequenceClassification.from_pretrained(source, dtype=torch.float32).eval()
    with torch.inference_mode():
        expected_scores = model(torch.tensor(IDS)).logits[0].softmax(0).numpy()
    assert np.abs(np.array(output.astype(mx.float32))[0] - expected_scores).max() < 0.02


@pytest.mark.parametrize("name", ["tiny-bert-embed", "tiny-bert-classify"])
def test_transformers_loads_what_was_dequantized(tmp_path, name):
    from transformers import AutoModel, AutoModelForSequenceClassification

    source, quantized, floats = ROOT / "fixtures" / name, tmp_path / "quantized", tmp_path / "floats"
    mlxq("convert", "--hf-path", source, "--mlx-path", quantized)
    mlxq("convert", "-d", "--hf-path", quantized, "--mlx-path", floats)
    kind = AutoModel if name.endswith("embed") else AutoModelForSequenceClassification
    original = kind.from_pretrained(source, dtype=torch.float32).state_dict()
    restored, report = kind.from_pretrained(floats, dtype=torch.float32, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"], report
    for path, weight in restored.state_dict().items():
        # Half a step of 8 bits, of a group whose range is at most twice the largest weight.
        assert (weight - original[path]).abs().max() <= 0.01 * original[path].abs().max(), path
