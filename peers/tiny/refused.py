"""Keys of config.json that must be refused by name, and keys that change nothing.

What transformers 5.23 computes otherwise than before (or ignores, or fails on) is refused rather than computed
wrongly in silence. A line is the keys that are written over a plain checkpoint's; the error names the first.
"""

BERT_LIKE = ["bert", "roberta", "xlm-roberta"]
ALL_BUT_BART = [*BERT_LIKE, "distilbert", "mpnet", "mobilebert", "deberta-v2", "modernbert"]
# The key of the activation function of each type.
ACTIVATION_KEYS = {"distilbert": "activation", "modernbert": "hidden_activation", "bart": "activation_function"}


def rope_of(kind, **changes):
    """ModernBERT's parameters of the rotary positions, one kind of layers changed."""
    plain = {"rope_type": "default", "rope_theta": 10000.0}
    return {"rope_parameters": {name: plain | (changes if name == kind else {})
                                for name in ("full_attention", "sliding_attention")}}


OF_EACH = {
    "bert": [
        # Computed by transformers 4, dropped by 5.
        {"position_embedding_type": "relative_key"},
        {"position_embedding_type": "relative_key_query"},
        {"num_attention_heads": 5},
        {"num_labels": 4},
        {"label2id": {"LABEL_0": 1, "LABEL_1": 0, "LABEL_2": 2}},
    ],
    "distilbert": [
        # Other names of the same settings, which win over `dim`, `n_layers` and `n_heads` in transformers.
        {"hidden_size": 24}, {"num_hidden_layers": 1}, {"num_attention_heads": 2},
    ],
    "mpnet": [
        # transformers computes with 32 buckets, and fails where the table has fewer rows.
        {"relative_attention_num_buckets": 31}, {"relative_attention_num_buckets": 8},
        {"relative_attention_num_buckets": 5},
    ],
    "mobilebert": [
        {"normalization_type": "rms_norm"}, {"true_hidden_size": 16}, {"num_feedforward_networks": 0},
        # Queries would be as wide as the layer's input, their matrix as wide as the bottleneck.
        {"intra_bottleneck_size": 32, "use_bottleneck_attention": False, "key_query_shared_bottleneck": False},
    ],
    "deberta-v2": [
        {"pos_att_type": ["c2p", "p2p"]}, {"pos_att_type": "p2p|p2c"}, {"pos_att_type": ["C2P"]},
        {"attention_head_size": 6}, {"pooler_hidden_size": 20}, {"pooler_hidden_act": "prelu"},
        {"conv_kernel_size": 2}, {"conv_groups": 5, "conv_kernel_size": 3},
        {"conv_act": "xielu", "conv_kernel_size": 3},
        # The logarithm's scale would be 0, infinite or negative.
        {"max_relative_positions": 9, "position_buckets": 16}, {"position_buckets": 1},
    ],
    "modernbert": [
        rope_of("full_attention", rope_type="linear", factor=2.0),
        rope_of("sliding_attention", rope_type="yarn", factor=2.0),
        {"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}},
        {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}},
        {"layer_types": ["full_attention"]}, {"layer_types": ["full_attention", "chunked_attention"] * 2},
        {"classifier_pooling": "max"}, {"classifier_activation": "prelu"}, {"head_dim": 6},
        {"num_attention_heads": 16},
    ],
    "bart": [
        # Of transformers before 4, which passes over them today.
        {"normalize_before": True}, {"add_final_layer_norm": True}, {"static_position_embeddings": True},
        {"normalize_embedding": False}, {"extra_pos_embeddings": 0}, {"do_blenderbot_90_layernorm": True},
        {"is_encoder_decoder": False}, {"is_decoder": True}, {"eos_token_id": [2, 3]},
        {"decoder_start_token_id": None},
        # Other names of `d_model`, `encoder_layers` and `encoder_attention_heads`, which win in transformers.
        {"hidden_size": 24}, {"num_hidden_layers": 1}, {"num_attention_heads": 2},
    ],
    "roberta": [{"position_embedding_type": "relative_key"}, {"pad_token_id": -1}, {"pad_token_id": None},
                {"max_position_embeddings": 2}],
    "xlm-roberta": [{"position_embedding_type": "relative_key_query"}, {"pad_token_id": None}],
}
DECODERS = [{"is_decoder": True}, {"add_cross_attention": True}]


def every_refusal():
    """All pairs of a model type and keys."""
    pairs = [(kind, keys) for kind, lines in OF_EACH.items() for keys in lines]
    pairs += [(kind, keys) for kind in BERT_LIKE for keys in DECODERS]
    for kind in [*ALL_BUT_BART, "bart"]:
        key = ACTIVATION_KEYS.get(kind, "hidden_act")
        pairs += [(kind, {key: name}) for name in ("prelu", "xielu", "no_such_function")]
    return pairs


# Keys of training, generation and older versions that change no prediction.
HARMLESS = {
    "chunk_size_feed_forward": 1, "use_cache": False, "gradient_checkpointing": True, "output_past": True,
    "initializer_range": 0.5, "init_std": 0.5, "hidden_dropout_prob": 0.9, "attention_probs_dropout_prob": 0.9,
    "dropout": 0.9, "attention_dropout": 0.9, "activation_dropout": 0.9, "classifier_dropout": 0.9,
    "classif_dropout": 0.9, "seq_classif_dropout": 0.9, "qa_dropout": 0.9, "encoder_layerdrop": 0.9,
    "decoder_layerdrop": 0.9, "pooler_dropout": 0.9, "embedding_dropout": 0.9, "mlp_dropout": 0.9,
    "position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False,
    "reference_compile": True, "sparse_prediction": True, "deterministic_flash_attn": True,
    "decoder_bias": False, "legacy": False, "finetuning_task": "mnli", "task_specific_params": {"a": {"b": 1}},
    "tie_weights_": True, "normalize_embedding": True, "add_bias_logits": False,
    "static_position_embeddings": False, "normalize_before": False, "add_final_layer_norm": False, "problem_type": "multi_label_classification",
}
