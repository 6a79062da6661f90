"""Makes the HuggingFace folder of SmolLM2-135M-Instruct from the one file of its package, a GGUF.

The weights are those of the file, 4 and 8 bits, as float16: a real model, though not the published one's
bits. Only what this file uses of the format is read.
Usage: python peers/smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf FOLDER
"""

import json
import struct
import sys
from math import prod
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

TEXT, LIST = 8, 9
NUMBERS = {4: "I", 5: "i", 6: "f", 7: "?"}
CONTROL = 3  # the kind of token that is special
NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


class Reader:
    """A GGUF file: `about`, its metadata, and its tensors."""

    def __init__(self, path):
        self.raw, self.at = path.read_bytes(), 0
        magic, version, tensors, entries = self.unpack("4sIQQ")
        assert (magic, version) == (b"GGUF", 3)
        self.about = {self.text(): self.value(*self.unpack("I")) for _ in range(entries)}
        self.places = [self.place() for _ in range(tensors)]
        self.start = -(-self.at // 32) * 32

    def unpack(self, form):
        found = struct.unpack_from("<" + form, self.raw, self.at)
        self.at += struct.calcsize("<" + form)
        return found

    def text(self):
        (length,) = self.unpack("Q")
        return self.unpack(f"{length}s")[0].decode()

    def value(self, kind):
        if kind == TEXT:
            return self.text()
        if kind == LIST:
            kind, count = self.unpack("IQ")
            return [self.value(kind) for _ in range(count)]
        return self.unpack(NUMBERS[kind])[0]

    def place(self):
        name, (dimensions,) = self.text(), self.unpack("I")
        shape = self.unpack(f"{dimensions}Q")[::-1]
        return name, shape, *self.unpack("IQ")

    def tensors(self):
        for name, shape, kind, offset in self.places:
            yield name, NUMBERS_OF[kind](self.raw, self.start + offset, prod(shape)).reshape(shape)


def f32(raw, at, count):
    return np.frombuffer(raw, "<f4", count, at)


def q4_1(raw, at, count):
    """Blocks of 32: step and minimum, then the low four bits of 16 numbers beside those of the next 16."""
    blocks = np.frombuffer(raw, [("step", "<f2"), ("least", "<f2"), ("codes", "u1", 16)], count // 32, at)
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1)
    step, least = (blocks[part].astype("f4")[:, None] for part in ("step", "least"))
    return codes * step + least


def q8_0(raw, at, count):
    """Blocks of 32: step, then signed bytes."""
    blocks = np.frombuffer(raw, [("step", "<f2"), ("codes", "i1", 32)], count // 32, at)
    return blocks["codes"] * blocks["step"].astype("f4")[:, None]


NUMBERS_OF = {0: f32, 3: q4_1, 8: q8_0}


def weights(reader, config):
    """The tensors under their names. llama.cpp turns pairs of neighbouring rows where HuggingFace turns
    the two halves of a head, so the rows of queries and keys lie in another order."""
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    for name, tensor in reader.tensors():
        *layer, part, ending = name.removeprefix("blk.").split(".")
        if part in heads:
            rows, columns = tensor.shape
            pairs = tensor.reshape(heads[part], rows // heads[part] // 2, 2, columns)
            tensor = pairs.swapaxes(1, 2).reshape(rows, columns)
        path = f"model.layers.{layer[0]}.{NAMES[part]}" if layer else NAMES[part]
        yield f"{path}.{ending}", np.ascontiguousarray(tensor.astype("f2"))


def configuration(about):
    ids = {key: about[f"tokenizer.ggml.{key}_token_id"] for key in ("bos", "eos", "padding")}
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": about["llama.vocab_size"], "hidden_size": about["llama.embedding_length"],
        "intermediate_size": about["llama.feed_forward_length"],
        "num_hidden_layers": about["llama.block_count"],
        "num_attention_heads": about["llama.attention.head_count"],
        "num_key_value_heads": about["llama.attention.head_count_kv"],
        "max_position_embeddings": about["llama.context_length"],
        "rms_norm_eps": float(f"{about['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "rope_theta": about["llama.rope.freq_base"], "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": True, "torch_dtype": "float16",
        "bos_token_id": ids["bos"], "eos_token_id": ids["eos"], "pad_token_id": ids["padding"],
    }


def write_tokenizer(about, folder):
    tokens = about["tokenizer.ggml.tokens"]
    merges = [tuple(merge.split(" ")) for merge in about["tokenizer.ggml.merges"]]
    made = Tokenizer(models.BPE({token: place for place, token in enumerate(tokens)}, merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    kinds = zip(tokens, about["tokenizer.ggml.token_type"], strict=True)
    made.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, kind in kinds if kind == CONTROL])
    made.save(str(folder / "tokenizer.json"))
    names = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
    special = {f"{name}_token": tokens[about[f"tokenizer.ggml.{key}_token_id"]] for name, key in names.items()}
    write(folder / "special_tokens_map.json", special)
    write(folder / "tokenizer_config.json", special | {
        "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False,
        "model_max_length": about["llama.context_length"],
    })
    (folder / "chat_template.jinja").write_text(about["tokenizer.chat_template"], encoding="utf-8")


def write(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def main(file, folder):
    folder.mkdir(parents=True, exist_ok=True)
    reader = Reader(file)
    config = configuration(reader.about)
    write(folder / "config.json", config)
    write_tokenizer(reader.about, folder)
    save_file(dict(weights(reader, config)), folder / "model.safetensors", {"format": "pt"})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
