//! Qwen2 MoE (Yang et al. 2024), as mlx_lm's `qwen2_moe`, which always has a head of its own.

use mlxq_checkpoint::layout::{Layout, Module, Rule};

use super::llama::{CORE, DROP_INV_FREQ, NORMS};

/// The products of the experts of all Qwen types, one tensor for each of the three.
pub(super) const STACK: Rule = Rule::Stack {
    from: "model.layers.{i}.mlp.experts.{e}.{*}",
    to: "model.layers.{i}.mlp.switch_mlp.{*}",
    count: &["num_experts", "num_local_experts"],
};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        NORMS,
        &[
            Module::linear("model.layers.{i}.mlp.gate"),
            Module::experts("model.layers.{i}.mlp.switch_mlp.gate_proj"),
            Module::experts("model.layers.{i}.mlp.switch_mlp.up_proj"),
            Module::experts("model.layers.{i}.mlp.switch_mlp.down_proj"),
            Module::linear("model.layers.{i}.mlp.shared_expert.gate_proj"),
            Module::linear("model.layers.{i}.mlp.shared_expert.up_proj"),
            Module::linear("model.layers.{i}.mlp.shared_expert.down_proj"),
            Module::linear("model.layers.{i}.mlp.shared_expert_gate"),
            Module::linear("lm_head"),
        ],
    ],
    rules: &[
        DROP_INV_FREQ,
        Rule::Copy { from: "model.embed_tokens.weight", to: "lm_head.weight" },
        STACK,
    ],
    ..Layout::decoder()
};
