//! Phi-3 (Abdin et al. 2024), as mlx_lm's `phi3`: queries, keys and values in one product.

use mlxq_checkpoint::layout::{Layout, Module, Rule};

use super::llama::{NORMS, OWN_HEAD};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        &[
            Module::embedding("model.embed_tokens"),
            Module::linear("model.layers.{i}.self_attn.qkv_proj"),
            Module::linear("model.layers.{i}.self_attn.o_proj"),
            Module::linear("model.layers.{i}.mlp.gate_up_proj"),
            Module::linear("model.layers.{i}.mlp.down_proj"),
            Module::norm("model.norm"),
        ],
        NORMS,
        OWN_HEAD,
    ],
    rules: &[Rule::DropTied("lm_head.weight", false)],
    ..Layout::decoder()
};
