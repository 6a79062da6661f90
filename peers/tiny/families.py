"""The settings that the eight families are compared with transformers on.

For every model type the shape that its lines change, and the lines. A line has changes of the configuration
(`config`, as transformers takes it), keys written into config.json besides (`write`), a head (`classify`
with `labels` of them, 3 if not said; `base`; `mlm`), the pooling of an embedding model (`pooling`; none means
no `modules.json`), the format of the weights (`dtype`), what the file has otherwise (`old`, see
`build.older`, and `no-prefix`), the way config.json is written (`form`: `v5` or `published`), and the number of
tokens of the longest row (`longest`) where that is not all that the positions hold.
`unused` are parts of the names of tensors that the computation passes over under these settings, and `seed`
is another than `grid.SEED`, where that gives weights among which some tensor hardly counts.
"""

ACTIVATIONS = [
    "gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new", "gelu_python", "gelu_python_tanh",
    "gelu_pytorch_tanh", "hardswish", "laplace", "leaky_relu", "linear", "mish", "quick_gelu", "relu", "relu2",
    "relu6", "sigmoid", "silu", "sqrtsoftplus", "swish", "tanh",
]

BERT = {"vocab_size": 99, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 40, "type_vocab_size": 2, "pad_token_id": 0}
ROBERTA = BERT | {"pad_token_id": 1}
ONE_HEAD_OF_80 = {"hidden_size": 80, "num_attention_heads": 1, "num_hidden_layers": 1}
HEADS_OF_80 = {"hidden_size": 160, "num_attention_heads": 2, "num_hidden_layers": 1}
ODD = {"hidden_size": 36, "num_attention_heads": 3, "intermediate_size": 50}
UNTIED = {"tie_word_embeddings": False}
MULTI, REGRESSION = ({"problem_type": kind} for kind in ("multi_label_classification", "regression"))
SINGLE = {"problem_type": "single_label_classification"}

SHAPES = {
    "bert": BERT, "roberta": ROBERTA, "xlm-roberta": ROBERTA,
    "distilbert": {"vocab_size": 99, "dim": 48, "hidden_dim": 80, "n_layers": 2, "n_heads": 4,
                   "max_position_embeddings": 40},
    "mpnet": {key: ROBERTA[key] for key in ROBERTA if key != "type_vocab_size"} | {"max_position_embeddings": 300},
    "mobilebert": BERT | {"embedding_size": 24, "hidden_size": 48, "intra_bottleneck_size": 32,
                          "num_feedforward_networks": 2},
    "deberta-v2": BERT | {
        "type_vocab_size": 0, "max_position_embeddings": 64, "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"], "position_buckets": 16, "norm_rel_ebd": "layer_norm",
        "share_att_key": True, "position_biased_input": False, "max_relative_positions": -1,
    },
    "modernbert": {"vocab_size": 99, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 4,
                   "num_attention_heads": 4, "max_position_embeddings": 60, "local_attention": 8,
                   "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1,
                   "sep_token_id": 2},
    "bart": {"vocab_size": 99, "d_model": 48, "encoder_layers": 2, "decoder_layers": 2,
             "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 80,
             "decoder_ffn_dim": 80, "max_position_embeddings": 40},
}

V2 = {"type_vocab_size": 2, "position_biased_input": True, "norm_rel_ebd": "none", "share_att_key": False}
CONV = {"conv_kernel_size": 3, "conv_act": "gelu"}


def positions(kinds, **more):
    """DeBERTa's line for a choice of attention to positions."""
    return {"config": {"pos_att_type": kinds} | more}


def rope(full, sliding):
    """ModernBERT's two bases in the form of transformers 5."""
    kinds = {"full_attention": full, "sliding_attention": sliding}
    return {"rope_parameters": {kind: {"rope_type": "default", "rope_theta": theta}
                                for kind, theta in kinds.items()}}


def bottlenecks(attention, shared, **more):
    """MobileBERT's line for a choice of what queries, keys and values are made of."""
    flags = {"use_bottleneck_attention": attention, "key_query_shared_bottleneck": shared}
    return {"config": flags | more}


BIASES = {"attention_bias": True, "mlp_bias": True, "norm_bias": True, "classifier_bias": True}

SETTINGS = {
    "bert": {
        "plain": {"config": SINGLE},
        "heads-of-80": {"config": HEADS_OF_80},
        "one-head-of-80": {"config": ONE_HEAD_OF_80},
        "odd": {"config": ODD},
        "one-segment": {"config": {"type_vocab_size": 1}},
        "three-segments": {"config": {"type_vocab_size": 3}},
        "one-label": {"labels": 1},
        "multi-label": {"labels": 5, "config": MULTI},
        "regression": {"labels": 1, "config": REGRESSION},
        "large-epsilon": {"config": {"layer_norm_eps": 0.5}},
        "old-names": {"old": ["gamma", "position_ids"], "form": "published", "dtype": "float16"},
        "no-prefix": {"old": ["no-prefix"], "dtype": "bfloat16"},
        "chunked": {"write": {"chunk_size_feed_forward": 1}},
        "embedding": {"head": "base"},
        "embedding-cls": {"head": "base", "pooling": ["cls"]},
        "embedding-max-mean": {"head": "base", "pooling": ["max", "mean"], "old": ["position_ids"]},
        "embedding-of-classifier": {"head": "classify", "pooling": ["mean"]},
        "embedding-of-mlm": {"head": "mlm", "pooling": ["mean"], "old": ["gamma"]},
        "embedding-of-untied-mlm": {"head": "mlm", "config": UNTIED},
    } | {name: {"config": {"hidden_act": name, "num_hidden_layers": 1}} for name in ACTIVATIONS},
    "roberta": {
        "plain": {},
        "padding-0": {"config": {"pad_token_id": 0}},
        "padding-5": {"config": {"pad_token_id": 5, "max_position_embeddings": 30}},
        "one-segment": {"config": {"type_vocab_size": 1}, "old": ["position_ids"]},
        "heads-of-80": {"config": HEADS_OF_80 | {"hidden_act": "relu"}},
        "odd": {"config": ODD | {"layer_norm_eps": 1e-2}, "dtype": "float16"},
        "one-label": {"labels": 1},
        "no-prefix": {"old": ["no-prefix"]},
        "embedding": {"head": "base", "pooling": ["cls"]},
        "embedding-of-mlm": {"head": "mlm", "old": ["lm_head.decoder"], "form": "published"},
        "embedding-of-untied-mlm": {"head": "mlm", "config": UNTIED},
    },
    "xlm-roberta": {
        "plain": {"config": MULTI},
        "padding-3": {"config": {"pad_token_id": 3}},
        "one-segment": {"config": {"type_vocab_size": 1}},
        "heads-of-80": {"config": HEADS_OF_80 | {"hidden_act": "silu"}},
        "odd": {"config": ODD, "dtype": "bfloat16"},
        "one-label": {"labels": 1, "old": ["position_ids"]},
        "embedding": {"head": "base", "pooling": ["mean"]},
        "embedding-of-mlm": {"head": "mlm"},
    },
    "distilbert": {
        "plain": {},
        "sinusoidal": {"config": {"sinusoidal_pos_embds": True}},
        "heads-of-80": {"config": {"dim": 160, "n_heads": 2, "n_layers": 1}},
        "odd": {"config": {"dim": 36, "n_heads": 3, "hidden_dim": 50}, "dtype": "float16"},
        "relu": {"config": {"activation": "relu"}, "old": ["gamma"]},
        "gelu_new": {"config": {"activation": "gelu_new"}},
        "one-label": {"labels": 1},
        "no-prefix": {"old": ["no-prefix", "position_ids"]},
        "embedding": {"head": "base", "pooling": ["mean"]},
        "embedding-of-mlm": {"head": "mlm", "form": "published"},
        "embedding-of-untied-mlm": {"head": "mlm", "config": UNTIED},
    },
    "mpnet": {
        "plain": {},
        # 5.23 computes with 32 buckets whatever the setting, which is the size of the table.
        "larger-table": {"config": {"relative_attention_num_buckets": 40}},
        # It is 1 for positions whatever the configuration says.
        "padding-0": {"config": {"pad_token_id": 0, "max_position_embeddings": 40}},
        "heads-of-80": {"config": HEADS_OF_80 | {"max_position_embeddings": 170}},
        "odd": {"config": ODD, "dtype": "float16"},
        "one-label": {"labels": 1, "config": {"max_position_embeddings": 20, "hidden_act": "tanh"}},
        "embedding": {"head": "base", "pooling": ["mean"]},
        "embedding-of-mlm": {"head": "mlm", "config": {"max_position_embeddings": 40}},
    },
    "mobilebert": {
        "plain": {},
        "layer-norm": {"config": {"normalization_type": "layer_norm", "layer_norm_eps": 0.1}},
        "bottleneck-attention": bottlenecks(True, False),
        "bottleneck-attention-and-shared": bottlenecks(True, True) | {"unused": ["bottleneck.attention."]},
        "nothing-shared": bottlenecks(False, False, intra_bottleneck_size=48),
        "no-bottleneck": {"config": {"use_bottleneck": False}},
        "no-bottleneck-layer-norm": {
            "config": {"use_bottleneck": False, "normalization_type": "layer_norm", "trigram_input": False}},
        "no-trigram": {"config": {"trigram_input": False}},
        "no-trigram-same-width": {"config": {"trigram_input": False, "embedding_size": 48},
                                  "unused": ["embedding_transformation."]},
        "trigram-same-width": {"config": {"embedding_size": 48}},
        "one-network": {"config": {"num_feedforward_networks": 1}},
        "four-networks": {"config": {"num_feedforward_networks": 4, "hidden_act": "gelu"}},
        "no-activation": {"config": {"classifier_activation": False}, "labels": 1},
        "heads-of-80": {"config": {"intra_bottleneck_size": 160, "hidden_size": 100, "num_attention_heads": 2,
                                   "num_hidden_layers": 1}},
        "one-segment": {"config": {"type_vocab_size": 1}, "old": ["gamma", "position_ids"]},
        "embedding": {"head": "base", "pooling": ["cls"]},
        "embedding-of-mlm": {"head": "mlm", "form": "published"},
    },
    "deberta-v2": {
        "v3": {},
        "v3-two-segments": {"config": {"type_vocab_size": 2}},
        "v2": {"config": V2},
        "v2-conv": {"config": V2 | CONV},
        "conv-5-groups": {"config": {"conv_kernel_size": 5, "conv_act": "relu", "conv_groups": 4}},
        "conv-1": {"config": {"conv_kernel_size": 1}},
        "c2p": positions(["c2p"]),
        "p2c": positions(["p2c"]),
        "c2p-unshared": positions(["c2p"], share_att_key=False),
        "p2c-unshared": positions(["p2c"], share_att_key=False),
        "as-text": positions("c2p|p2c"),
        "no-positions-in-attention": positions([]) | {"unused": ["rel_embeddings.weight", "encoder.LayerNorm."]},
        "no-relative-attention": {
            "config": {"relative_attention": False, "pos_att_type": None, "position_biased_input": True},
            "unused": ["encoder.LayerNorm."]},
        # The terms still count in the scale of the scores.
        "no-relative-attention-but-types": {
            "config": {"relative_attention": False, "norm_rel_ebd": "none", "position_biased_input": True}},
        "no-buckets": {"config": {"position_buckets": -1}},
        "no-buckets-short": {"config": {"position_buckets": -1, "max_relative_positions": 10}},
        "buckets-256": {"config": {"position_buckets": 256, "max_position_embeddings": 512}, "longest": 150},
        "buckets-32-of-300": {"config": {"position_buckets": 32, "max_relative_positions": 300,
                                         "max_position_embeddings": 300}},
        "buckets-7-of-50": {"config": {"position_buckets": 7, "max_relative_positions": 50}},
        "narrow-embedding": {"config": {"embedding_size": 20, "type_vocab_size": 2,
                                        "position_biased_input": True}},
        "pooler-tanh": {"config": {"pooler_hidden_act": "tanh"}, "labels": 1},
        "heads-of-80": {"config": HEADS_OF_80},
        "odd": {"config": ODD, "dtype": "float16", "old": ["position_ids"]},
        "norm-of-nothing": {"config": {"norm_rel_ebd": "none", "layer_norm_eps": 0.1}},
        "embedding": {"head": "base", "pooling": ["mean"]},
        "embedding-of-mlm": {"head": "mlm", "write": {"legacy": True}},
        "embedding-of-new-mlm": {"head": "mlm", "config": {"legacy": False}},
    },
    "modernbert": {
        "plain": {},
        "mean": {"config": {"classifier_pooling": "mean", "local_attention": 16}},
        "local-2": {"config": {"local_attention": 2}},
        "local-5": {"config": {"local_attention": 5}},
        "all-global": {"config": {"global_attn_every_n_layers": 1}},
        "every-second": {"config": {"global_attn_every_n_layers": 2}, "form": "published"},
        "layer-types": {"config": {"layer_types": ["sliding_attention", "sliding_attention",
                                                   "full_attention", "sliding_attention"]}},
        "window-key": {"write": {"sliding_window": 2}},
        "theta-v5": {"config": rope(500.0, 20.0)},
        "theta-published": {"config": rope(500.0, 20.0), "form": "published"},
        "theta-default": {"form": "published"},
        "biases": {"config": BIASES},
        "attention-bias": {"config": {"attention_bias": True}},
        "mlp-bias": {"config": {"mlp_bias": True}},
        "norm-bias": {"config": {"norm_bias": True, "norm_eps": 0.1}},
        "classifier-bias": {"config": {"classifier_bias": True}, "labels": 1},
        "activations": {"config": {"hidden_activation": "silu", "classifier_activation": "relu"}},
        "heads-of-80": {"config": HEADS_OF_80 | {"num_hidden_layers": 2}},
        "odd": {"config": ODD, "dtype": "float16"},
        "embedding": {"head": "base", "pooling": ["mean"]},
        "embedding-of-mlm": {"head": "mlm", "old": ["decoder"]},
        "embedding-of-untied-mlm": {"head": "mlm", "config": UNTIED, "pooling": ["cls"]},
    },
    "bart": {
        "plain": {},
        "unequal": {"config": {"encoder_layers": 1, "decoder_layers": 3, "encoder_attention_heads": 2,
                               "decoder_attention_heads": 6, "encoder_ffn_dim": 50, "decoder_ffn_dim": 100},
                    "seed": 15},
        "scaled": {"config": {"scale_embedding": True}},
        "relu": {"config": {"activation_function": "relu"}, "labels": 1},
        "heads-of-80": {"config": {"d_model": 160, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
                                   "encoder_layers": 1, "decoder_layers": 1}},
        "odd": {"config": {"d_model": 36, "encoder_attention_heads": 3, "decoder_attention_heads": 2},
                "dtype": "float16"},
        "tables-stored-again": {"old": ["embed_tokens"], "form": "published"},
        "table-under-the-encoder": {"old": ["embed_tokens", "no-shared"]},
        "other-tokens": {"config": {"eos_token_id": 7, "decoder_start_token_id": 5, "pad_token_id": 0}},
        "embedding": {"head": "base"},
        "embedding-mean": {"head": "base", "pooling": ["mean"]},
        "embedding-of-lm": {"head": "mlm", "pooling": ["max"]},
    },
}
