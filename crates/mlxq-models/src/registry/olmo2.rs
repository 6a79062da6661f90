//! OLMo 2 (OLMo Team 2025), as mlx_lm's `olmo2`: norms after attention and feed-forward part.

use mlxq_checkpoint::layout::{Layout, Module};

use super::llama::{self, CORE, HEAD, MLP, QK_NORMS};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        MLP,
        QK_NORMS,
        &[
            Module::norm("model.layers.{i}.post_attention_layernorm"),
            Module::norm("model.layers.{i}.post_feedforward_layernorm"),
        ],
        HEAD,
    ],
    ..llama::LAYOUT
};
