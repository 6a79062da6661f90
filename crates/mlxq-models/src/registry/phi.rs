//! Phi-1 to Phi-2 (Gunasekar et al. 2023), as mlx_lm's `phi`.

use mlxq_checkpoint::layout::{Layout, Module};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("model.embed_tokens"),
        Module::linear("model.layers.{i}.self_attn.q_proj"),
        Module::linear("model.layers.{i}.self_attn.k_proj"),
        Module::linear("model.layers.{i}.self_attn.v_proj"),
        Module::linear("model.layers.{i}.self_attn.dense"),
        Module::linear("model.layers.{i}.mlp.fc1"),
        Module::linear("model.layers.{i}.mlp.fc2"),
        Module::norm("model.layers.{i}.input_layernorm"),
        Module::norm("model.final_layernorm"),
        Module::linear("lm_head"),
    ]],
    ..Layout::decoder()
};
