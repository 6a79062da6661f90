"""The encoders: for every type its shape, and variants of it.

A variant has a head (`base`, `classify` with three labels, or `mlm`), changes of the configuration, a format
of the weights (`dtype`), the settings of sentence-transformers' Pooling module where it is an embedding model
(`pooling`), and what older files have otherwise (`old`, see `build.older`). `form` is as for decoders.
"""

BASE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "vocab_size": 272, "max_position_embeddings": 40, "type_vocab_size": 2,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}
WITHOUT_BASE = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "vocab_size": 272,
                "max_position_embeddings": 40}
SHAPES = {
    "distilbert": {"dim": 64, "hidden_dim": 128, "n_layers": 2, "n_heads": 4},
    "bart": {"d_model": 64, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
             "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128},
    "mobilebert": {"embedding_size": 64, "intra_bottleneck_size": 64, "true_hidden_size": 64,
                   "hidden_size": 128, "num_feedforward_networks": 2},
    "modernbert": {"num_hidden_layers": 4, "global_attn_every_n_layers": 3, "local_attention": 16},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "type_vocab_size": 0,
                   "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
                   "position_biased_input": False},
}
PREFIXES = {
    "bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta.", "distilbert": "distilbert.",
    "mpnet": "mpnet.", "mobilebert": "mobilebert.", "deberta-v2": "deberta.", "modernbert": "model.",
    "bart": "model.",
}
BASE_CLASSES = {
    "bert": "BertModel", "roberta": "RobertaModel", "xlm-roberta": "XLMRobertaModel",
    "distilbert": "DistilBertModel", "mpnet": "MPNetModel", "mobilebert": "MobileBertModel",
    "deberta-v2": "DebertaV2Model", "modernbert": "ModernBertModel", "bart": "BartModel",
}

MEAN = {"word_embedding_dimension": 64, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
        "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}
CLS = {"word_embedding_dimension": 64, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
NEW_MEAN = {"embedding_dimension": 64, "pooling_mode": "mean", "include_prompt": True}
ODD = {"hidden_size": 96, "intermediate_size": 128}

VARIANTS = {
    "bert": {
        "embedding": {"head": "base", "pooling": MEAN},
        "embedding-of-mlm": {"head": "mlm", "pooling": NEW_MEAN,
                             "old": ["gamma", "position_ids", "cls.predictions.decoder"]},
        "embedding-of-classifier": {"head": "classify", "pooling": CLS, "dtype": "bfloat16"},
        "classify": {"head": "classify"},
        "classify-old": {"head": "classify", "config": ODD, "old": ["gamma", "position_ids"]},
        "mlm": {"head": "mlm", "shard": "60KB", "form": "v5"},
    },
    "roberta": {
        "embedding": {"head": "base", "pooling": CLS},
        "classify": {"head": "classify", "old": ["position_ids"], "shard": "60KB"},
        "mlm": {"head": "mlm", "old": ["position_ids", "lm_head.decoder"]},
    },
    "xlm-roberta": {
        "embedding": {"head": "base", "pooling": MEAN, "dtype": "float16"},
        "classify": {"head": "classify", "dtype": "bfloat16"},
    },
    "distilbert": {
        "embedding": {"head": "base", "pooling": MEAN},
        "embedding-of-mlm": {"head": "mlm", "pooling": MEAN},
        "classify": {"head": "classify", "config": {"dim": 96}, "form": "v5"},
    },
    "mpnet": {
        "embedding": {"head": "base", "pooling": MEAN, "old": ["position_ids"]},
        "classify": {"head": "classify", "dtype": "float16"},
    },
    "mobilebert": {
        "embedding": {"head": "base", "pooling": CLS | {"word_embedding_dimension": 128}},
        "classify": {"head": "classify", "config": {"normalization_type": "layer_norm"}},
        "plain": {"head": "classify", "config": {
            "classifier_activation": False, "trigram_input": False, "use_bottleneck": False, "hidden_size": 64,
        }},
    },
    "deberta-v2": {
        "v2": {"head": "classify", "config": {
            "conv_kernel_size": 3, "conv_act": "gelu", "share_att_key": False, "type_vocab_size": 2,
            "position_biased_input": True, "norm_rel_ebd": "none",
        }},
        "v2-narrow": {"head": "classify", "config": {"embedding_size": 32, "conv_kernel_size": 3}},
        "v3": {"head": "classify", "dtype": "float16", "old": ["position_ids"]},
        "v3-embedding": {"head": "base", "pooling": MEAN},
        "v3-embedding-of-classifier": {"head": "classify", "pooling": MEAN},
    },
    "modernbert": {
        "embedding": {"head": "base", "pooling": MEAN},
        "embedding-of-mlm": {"head": "mlm", "pooling": NEW_MEAN, "form": "v5", "old": ["decoder"]},
        "embedding-cls": {"head": "base", "pooling": CLS, "dtype": "bfloat16"},
        "classify": {"head": "classify", "config": {"classifier_pooling": "mean"}},
        "classify-half": {"head": "classify", "dtype": "float16", "form": "v5"},
    },
    "bart": {
        "classify": {"head": "classify", "old": ["embed_tokens"]},
        "base": {"head": "base", "dtype": "float16"},
    },
}
