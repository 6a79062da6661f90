"""The decoders: for every type its shape, and variants of it.

A variant changes the configuration (`config`), the format of the weights (`dtype`), the number of files
(`shard`, the greatest size of one), the format that torch_dtype states if it is another one (`stated`),
what configuration keys are missing (`without`), what else stands in generation_config.json (`generation`),
or what tensors the file has besides those of transformers (`extra`). `form` is the way the configuration is
written: `published`, as the checkpoints on the Hub have it, or `v5`, as transformers 5 writes it.

`mlx_lm_fails` says why mlx_lm 0.32.2 refuses the folder or reads it wrongly, `error` what it says when it
refuses, and `twin` makes of it the folder that mlx_lm takes (`build.twin`): ours must convert the one to
what mlx_lm makes of the other.
"""

BASE = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 272, "max_position_embeddings": 128,
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 64}
LATENT = {
    "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16,
    "n_group": 1, "topk_group": 1,
}
SHAPES = {
    "gemma": {"head_dim": 32},
    "gemma2": {"head_dim": 32, "query_pre_attn_scalar": 32},
    "gemma3_text": {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16,
                    "sliding_window_pattern": 2},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 128, "vocab_size": 272,
             "bos_token_id": 1, "eos_token_id": 2},
    "gpt_neox": {"intermediate_size": 256, "num_key_value_heads": 4},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 8.0, "attention_multiplier": 0.25, "embedding_multiplier": 12.0,
                "residual_multiplier": 0.22},
    "granitemoe": {"logits_scaling": 8.0, "attention_multiplier": 0.25, "embedding_multiplier": 12.0,
                   "residual_multiplier": 0.22, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3": {"head_dim": 32},
    "mixtral": {"num_local_experts": 4},
    "qwen2_moe": EXPERTS | {"shared_expert_intermediate_size": 64},
    "qwen3_moe": EXPERTS | {"head_dim": 32},
    "deepseek_v2": LATENT | {
        "num_key_value_heads": 4,
        "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 2, "moe_intermediate_size": 64,
        "first_k_dense_replace": 1, "q_lora_rank": 32,
    },
}

# Groups of 32 fit everywhere, groups of 64 only where the last dimension is the intermediate one.
ODD = {"hidden_size": 96, "intermediate_size": 128}
TIED, UNTIED = {"tie_word_embeddings": True}, {"tie_word_embeddings": False}
ROPE = "reads rope_theta at the top only: a wrong default, silently"
ROPE_ERROR = "reads rope_theta at the top only"
NO_TIED_RULE = "no rule for a tied lm_head that lies in the file"
NO_HEAD_ERROR = "Received 1 parameters not in model"
LONG = [1.0 + place / 4 for place in range(8)]


def theta(base, **more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": base} | more}


def v5(base=None, fails=ROPE, error=None, **more):
    """The form of transformers 5, with another base than any default."""
    line = {"form": "v5", "config": theta(base) if base else {}, "mlx_lm_fails": fails, "twin": "keys"}
    return line | ({"error": error} if error else {}) | more


VARIANTS = {
    "llama": {
        "untied": {"config": UNTIED, "dtype": "bfloat16", "shard": "60KB",
                   "generation": {"eos_token_id": [2, 3]}},
        "tied": {"config": TIED | ODD | {"attention_bias": True, "mlp_bias": True}, "extra": "inv_freq"},
        "tied-head": {"config": TIED | {"num_hidden_layers": 4}, "extra": "lm_head", "dtype": "float16"},
        "no-tie-key": {"config": TIED, "without": ["tie_word_embeddings"]},
        "stated-dtype": {"config": {}, "stated": "float16"},
        "nothing-fits": {"config": {"hidden_size": 96, "intermediate_size": 160}},
        "v5": v5(500000.0),
        "v5-scaled": {"form": "v5", "mlx_lm_fails": ROPE, "twin": "keys", "config": {"rope_parameters": {
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
        }}},
        "eight-layers": {"config": {"num_hidden_layers": 8}, "dtype": "bfloat16"},
    },
    "mistral": {
        "untied": {"config": UNTIED | {"sliding_window": None, "head_dim": 32}, "dtype": "bfloat16"},
        "v5": v5(300000.0),
    },
    "qwen2": {
        "untied": {"config": UNTIED, "dtype": "float16"},
        "tied": {"config": TIED | ODD, "dtype": "bfloat16", "extra": "lm_head"},
        "v5": v5(20000.0),
    },
    "qwen3": {
        "untied": {"config": UNTIED | {"attention_bias": False}, "dtype": "bfloat16"},
        "tied": {"config": TIED | ODD, "shard": "100KB"},
        "v5": {"form": "v5", "config": theta(20000.0) | TIED, "twin": "keys"},
    },
    "gemma": {
        "tied": {"config": {}, "dtype": "bfloat16"},
        "tied-head": {"config": ODD, "extra": "lm_head", "mlx_lm_fails": NO_TIED_RULE,
                      "error": NO_HEAD_ERROR, "twin": "no head"},
        "v5": v5(20000.0),
    },
    "gemma2": {
        "tied": {"config": {"num_key_value_heads": 1}, "dtype": "bfloat16", "shard": "100KB"},
        "tied-head": {"config": ODD, "extra": "lm_head", "mlx_lm_fails": NO_TIED_RULE,
                      "error": NO_HEAD_ERROR, "twin": "no head"},
        "v5": v5(20000.0),
    },
    "gemma3_text": {
        "tied": {"config": {"num_key_value_heads": 1, "num_hidden_layers": 4}, "dtype": "bfloat16"},
        "untied": {"config": UNTIED | ODD},
        "v5": v5(fails="reads rope_theta, rope_local_base_freq and sliding_window_pattern at the top only",
                 without=["sliding_window_pattern"], config={"num_hidden_layers": 6, "rope_parameters": {
                     "full_attention": {"rope_type": "default", "rope_theta": 500000.0},
                     "sliding_attention": {"rope_type": "default", "rope_theta": 20000.0},
                 }}),
    },
    "phi": {
        "untied": {"config": {"num_key_value_heads": 4}, "dtype": "float16"},
        "odd": {"config": ODD | theta(10000.0, partial_rotary_factor=0.5)},
        "v5": v5(config=theta(20000.0, partial_rotary_factor=0.5)),
    },
    "phi3": {
        "untied": {"config": UNTIED, "dtype": "bfloat16"},
        "tied": {"config": TIED | ODD},
        "long": {"config": {"original_max_position_embeddings": 64, "rope_parameters": {
            "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
            "short_factor": LONG, "long_factor": LONG,
        }}},
        "tied-head": {"config": TIED, "extra": "lm_head", "mlx_lm_fails": NO_TIED_RULE,
                      "error": NO_HEAD_ERROR, "twin": "no head"},
        "v5": v5(20000.0),
    },
    "gpt2": {
        "hub": {"config": {}, "extra": "hub"},
        "odd": {"config": {"n_embd": 96, "n_inner": None}, "dtype": "float16", "extra": "hub"},
        "prefixed": {"config": {}, "shard": "100KB", "mlx_lm_fails": "takes only names without `transformer.`",
                     "error": "parameters not in model", "twin": "no prefix"},
        "v5": {"form": "v5", "config": {}, "extra": "hub", "mlx_lm_fails": "needs n_ctx",
               "error": "n_ctx", "twin": "keys"},
    },
    "gpt_neox": {
        "untied": {"config": {}, "dtype": "float16", "extra": "masked_bias"},
        "serial": {"config": {"use_parallel_residual": False, "hidden_size": 96, "intermediate_size": 384}},
        "v5": v5(fails="needs rotary_emb_base and rotary_pct", error="rotary_emb_base",
                 config=theta(20000.0, partial_rotary_factor=0.5)),
    },
    "olmo2": {
        "untied": {"config": UNTIED, "dtype": "bfloat16"},
        "tied": {"config": TIED | ODD},
        "tied-head": {"config": TIED, "extra": "lm_head", "mlx_lm_fails": NO_TIED_RULE,
                      "error": NO_HEAD_ERROR, "twin": "no head"},
        "v5": v5(20000.0),
    },
    "cohere": {
        "tied": {"config": {}, "dtype": "float16"},
        "qk-norm": {"config": ODD | {"use_qk_norm": True, "attention_bias": True}},
        "v5": v5(20000.0),
    },
    "granite": {
        "untied": {"config": UNTIED, "dtype": "bfloat16"},
        "tied": {"config": TIED | {"hidden_size": 128, "attention_bias": True, "mlp_bias": True}},
        "v5": v5(20000.0, fails=ROPE_ERROR, error="rope_theta"),
    },
    "smollm3": {
        "tied": {"config": TIED | {"num_hidden_layers": 4}, "dtype": "bfloat16"},
        "untied": {"config": UNTIED | ODD},
        "v5": v5(20000.0),
    },
    "starcoder2": {
        "tied": {"config": TIED, "dtype": "bfloat16"},
        "tied-head": {"config": TIED, "extra": "lm_head", "mlx_lm_fails": NO_TIED_RULE,
                      "error": NO_HEAD_ERROR, "twin": "no head"},
        "untied": {"config": UNTIED | ODD},
        "v5": v5(20000.0),
    },
    "stablelm": {
        "plain": {"config": {}, "dtype": "float16"},
        "biased": {"config": ODD | {"use_qkv_bias": True, "use_parallel_residual": True}},
        "qk-norm": {"config": {"qk_layernorm": True}},
        "v5": v5(fails=ROPE_ERROR, error="rope_theta", config=theta(20000.0, partial_rotary_factor=0.5)),
    },
    "granitemoe": {
        "tied": {"config": TIED, "dtype": "bfloat16", "shard": "100KB"},
        "untied": {"config": UNTIED},
        "v5": v5(20000.0, fails=ROPE_ERROR, error="rope_theta"),
    },
    "mixtral": {
        "untied": {"config": UNTIED, "dtype": "bfloat16", "shard": "100KB"},
        "odd": {"config": ODD},
        "v5": v5(20000.0),
    },
    "qwen2_moe": {
        "untied": {"config": {}, "dtype": "bfloat16"},
        "odd": {"config": ODD | {"moe_intermediate_size": 96, "shared_expert_intermediate_size": 128}},
        "v5": v5(20000.0),
    },
    "qwen3_moe": {
        "untied": {"config": UNTIED, "dtype": "bfloat16", "shard": "100KB"},
        "dense-layer": {"config": {"mlp_only_layers": [0], "moe_intermediate_size": 96, "hidden_size": 128}},
        "v5": v5(20000.0, fails="needs num_experts and rope_theta", error="required positional argument"),
    },
    "deepseek_v2": {
        "latent": {"config": {"kv_lora_rank": 64, "rope_parameters": {
            "rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "mscale": 0.7, "mscale_all_dim": 0.7,
            "original_max_position_embeddings": 32, "beta_fast": 32, "beta_slow": 1,
        }}, "dtype": "bfloat16", "shard": "100KB"},
        "full-query": {"config": ODD | {"q_lora_rank": None, "attention_bias": True}},
        "v5": v5(20000.0, fails="needs rope_scaling to be an object", error="NoneType"),
    },
}
