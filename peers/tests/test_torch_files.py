"""State dicts as torch itself writes them, converted: the same bytes as from safetensors."""

import json
import shutil
from collections import OrderedDict

import pytest
import torch
from conftest import ROOT, mlxq
from safetensors.torch import load_file, save_file

SOURCE = ROOT / "fixtures/tiny-bert-embed"


def state(dtype=torch.float32):
    tensors = load_file(SOURCE / "model.safetensors")
    return {name: tensor.to(dtype) for name, tensor in tensors.items()}


def folder(parent, name):
    """A copy of the fixture without weights."""
    made = parent / name
    shutil.copytree(SOURCE, made, ignore=shutil.ignore_patterns("model.safetensors"))
    return made


def weights(source, target, **how):
    mlxq("convert", "--hf-path", source, "--mlx-path", target, **how)
    return (target / "model.safetensors").read_bytes()


def expected(tmp_path, tensors):
    """What the same tensors give in safetensors."""
    source = folder(tmp_path, "safetensors")
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    return weights(source, tmp_path / "expected")


def ordered(tensors):
    """As `Module.state_dict()` returns it, with the versions of its modules."""
    made = OrderedDict(tensors)
    made._metadata = OrderedDict({"": {"version": 1}, "embeddings": {"version": 1}})
    return made


def transposed(tensors):
    """Every matrix in the memory order of its transpose."""
    return {name: tensor.T.contiguous().T if tensor.dim() == 2 else tensor for name, tensor in tensors.items()}


def shared(tensors):
    """All tensors as parts of one storage, with room between them."""
    room = next(iter(tensors.values())).new_full((3,), torch.nan)
    whole = torch.cat([part for tensor in tensors.values() for part in (tensor.flatten(), room)])
    made, at = {}, 0
    for name, tensor in tensors.items():
        made[name] = whole[at : at + tensor.numel()].view(tensor.shape)
        at += tensor.numel() + 3
    return made


def columns(tensors):
    """Every matrix as some columns of a wider one."""
    def within(tensor):
        wide = torch.full((tensor.shape[0], tensor.shape[1] + 5), torch.nan, dtype=tensor.dtype)
        wide[:, 2:-3] = tensor
        return wide[:, 2:-3]

    return {name: within(tensor) if tensor.dim() == 2 else tensor for name, tensor in tensors.items()}


def parameters(tensors):
    return {name: torch.nn.Parameter(tensor) for name, tensor in tensors.items()}


def tied(tensors):
    """A table under a second name, as a language model's head has it; the layout drops that."""
    return tensors | {"cls.predictions.decoder.weight": tensors["embeddings.word_embeddings.weight"]}


def with_buffers(tensors):
    return tensors | {"embeddings.position_ids": torch.arange(40)[None]}


def wrapped(tensors):
    return {"epoch": 3, "lr": 1e-3, "state_dict": tensors, "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}}}


MAKERS = [dict, ordered, transposed, shared, columns, parameters, tied, with_buffers, wrapped]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_state_dict_gives_the_bytes_of_safetensors(tmp_path, make, dtype, legacy):
    tensors = state(dtype)
    source = folder(tmp_path, "torch")
    torch.save(make(tensors), source / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
    assert weights(source, tmp_path / "out") == expected(tmp_path, tensors)


@pytest.mark.parametrize("legacy", [False, True])
def test_shards_with_their_index(tmp_path, legacy):
    tensors = state()
    source = folder(tmp_path, "torch")
    names = list(tensors)
    shards = [names[::2], names[1::2]]
    weight_map = {}
    for place, shard in enumerate(shards, 1):
        file = f"pytorch_model-{place:05}-of-00002.bin"
        part = {name: tensors[name] for name in shard}
        torch.save(part, source / file, _use_new_zipfile_serialization=not legacy)
        weight_map |= dict.fromkeys(shard, file)
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (source / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert weights(source, tmp_path / "out") == expected(tmp_path, tensors)


def test_safetensors_come_first_and_strays_are_left(tmp_path):
    tensors = state()
    source = folder(tmp_path, "both")
    save_file(tensors, source / "model.safetensors", metadata={"format": "pt"})
    for stray in ("pytorch_model.bin", "optimizer.pt", "training_args.bin"):
        torch.save({name: tensor + 1 for name, tensor in tensors.items()}, source / stray)
    save_file({"x": torch.ones(1)}, source / "consolidated.safetensors")
    assert weights(source, tmp_path / "out") == expected(tmp_path, tensors)


def test_only_file_of_another_name(tmp_path):
    tensors = state()
    for name, write in [("weights.safetensors", save_file), ("model.pth", torch.save), ("best.pt", torch.save)]:
        source = folder(tmp_path, name)
        write(tensors, source / name)
        torch.save({"step": 1}, source / "optimizer.pt")
        out = tmp_path / f"{name}-out"
        assert weights(source, out) == (tmp_path / "weights.safetensors-out/model.safetensors").read_bytes()


def test_code_in_a_pickle_is_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "written"), "w"))

    for legacy in (False, True):
        source = folder(tmp_path, f"bad-{legacy}")
        bad = state() | {"x": Payload()}
        torch.save(bad, source / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
        mlxq("convert", "--hf-path", source, "--mlx-path", tmp_path / "out", codes=(3,))
    assert not (tmp_path / "written").exists() and not (tmp_path / "out").exists()
