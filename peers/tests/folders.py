"""Folders of models as their raw content, and what distinguishes two of them."""

import json
import struct


def tensors(folder):
    """Every tensor of the `model*.safetensors` files: name to format, shape and raw bytes."""
    found = {}
    for path in sorted(folder.glob("model*.safetensors")):
        raw = path.read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8:8 + length])
        header.pop("__metadata__", None)
        for name, about in header.items():
            begin, end = about["data_offsets"]
            assert name not in found, f"{name} is in two files"
            found[name] = (about["dtype"], tuple(about["shape"]), raw[8 + length + begin:8 + length + end])
    return found


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def of_tensors(ours, theirs):
    """What distinguishes two sets of tensors, in words."""
    found = [f"{name}: missing" for name in sorted(set(theirs) - set(ours))]
    found += [f"{name}: superfluous" for name in sorted(set(ours) - set(theirs))]
    for name in sorted(set(ours) & set(theirs)):
        (*kind, raw), (*expected, bytes_expected) = ours[name], theirs[name]
        if kind != expected:
            found.append(f"{name}: {kind}, expected {expected}")
        elif raw != bytes_expected:
            count = sum(a != b for a, b in zip(raw, bytes_expected, strict=True))
            found.append(f"{name}: {count} of {len(raw)} bytes differ")
    return found


def of_objects(what, ours, theirs):
    """What distinguishes two JSON objects, key by key."""
    keys = sorted(set(ours) | set(theirs))
    pairs = [(key, ours.get(key, "(absent)"), theirs.get(key, "(absent)")) for key in keys]
    unlike = [(key, a, b) for key, a, b in pairs if a != b or type(a) is not type(b)]
    return [f"{what}: {key} is {a!r}, expected {b!r}" for key, a, b in unlike]


def of_files(ours, theirs, names):
    """Which of the files that `theirs` has are not the same bytes in `ours`."""
    return [
        f"{name}: not byte for byte" for name in names if (theirs / name).is_file()
        and not ((ours / name).is_file() and (ours / name).read_bytes() == (theirs / name).read_bytes())
    ]


def of_index(ours, header):
    """What is wrong with the index of `ours`: sizes and names; `header` are the expected metadata."""
    index = read(ours / "model.safetensors.index.json")
    own = tensors(ours)
    found = of_objects("index", index["metadata"], header)
    if set(index["weight_map"]) != set(own):
        found.append("index: other names than the files")
    files = {path.name for path in ours.glob("model*.safetensors")}
    if set(index["weight_map"].values()) != files:
        found.append("index: other files than there are")
    return found
