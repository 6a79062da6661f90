//! Qwen3 MoE (Yang et al. 2025), as mlx_lm's `qwen3_moe`; its routers are always at 8 bits.

use mlxq_checkpoint::layout::{Fixed, Key, Layout, Module, Rule};

use super::llama::{CORE, DROP_INV_FREQ, NORMS, OWN_HEAD, QK_NORMS};
use super::qwen2_moe::STACK;

/// Layers that are dense or have experts; the router is the type's own matter.
pub(super) const DENSE_OR_EXPERTS: &[Module] = &[
    Module::linear("model.layers.{i}.mlp.gate_proj").side("mlp", 0),
    Module::linear("model.layers.{i}.mlp.up_proj").side("mlp", 0),
    Module::linear("model.layers.{i}.mlp.down_proj").side("mlp", 0),
    Module::experts("model.layers.{i}.mlp.switch_mlp.gate_proj").side("mlp", 1),
    Module::experts("model.layers.{i}.mlp.switch_mlp.up_proj").side("mlp", 1),
    Module::experts("model.layers.{i}.mlp.switch_mlp.down_proj").side("mlp", 1),
];

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        NORMS,
        QK_NORMS,
        DENSE_OR_EXPERTS,
        &[Module::linear("model.layers.{i}.mlp.gate").side("mlp", 1)],
        OWN_HEAD,
    ],
    rules: &[
        DROP_INV_FREQ,
        Rule::DropTied("lm_head.weight", false),
        STACK,
    ],
    fixed: &[Fixed::router("{*}.mlp.gate")],
    keys: &[Key::from("num_experts", &["num_local_experts"])],
    ..Layout::decoder()
};
