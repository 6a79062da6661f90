//! StableLM (Bellagente et al. 2024), as mlx_lm's `stablelm`, which always has a head of its own.

use mlxq_checkpoint::layout::{Count, Layout, Module, Rule};

use super::llama::{CORE, DROP_INV_FREQ, MLP};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        MLP,
        &[
            Module::norm("model.layers.{i}.input_layernorm"),
            // None with parallel residuals.
            Module::norm("model.layers.{i}.post_attention_layernorm").optional(),
            Module::norm("model.layers.{i}.self_attn.q_layernorm.norms.{q}").optional(),
            Module::norm("model.layers.{i}.self_attn.k_layernorm.norms.{k}").optional(),
            Module::linear("lm_head"),
        ],
    ],
    counts: &[
        Count { hole: "i", keys: &["num_hidden_layers"], default: 32, less: 0 },
        Count { hole: "q", keys: &["num_attention_heads"], default: 32, less: 0 },
        Count {
            hole: "k",
            keys: &["num_key_value_heads", "num_attention_heads"],
            default: 32,
            less: 0,
        },
    ],
    rules: &[
        DROP_INV_FREQ,
        Rule::Copy { from: "model.embed_tokens.weight", to: "lm_head.weight" },
    ],
    ..Layout::decoder()
};
