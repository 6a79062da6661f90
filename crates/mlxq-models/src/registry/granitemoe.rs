//! Granite 3 MoE (IBM 2024), as mlx_lm's `granitemoe`: experts that are stacked already, two of their
//! three products in one tensor.

use mlxq_checkpoint::layout::{Fixed, Layout, Module, Rule};

use super::llama::{self, CORE, HEAD, NORMS};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        NORMS,
        &[
            Module::linear("model.layers.{i}.block_sparse_moe.router.layer"),
            Module::experts("model.layers.{i}.block_sparse_moe.switch_mlp.gate_proj"),
            Module::experts("model.layers.{i}.block_sparse_moe.switch_mlp.up_proj"),
            Module::experts("model.layers.{i}.block_sparse_moe.switch_mlp.down_proj"),
        ],
        HEAD,
    ],
    rules: &[
        Rule::DropTied("lm_head.weight", true),
        Rule::Split {
            from: "model.layers.{i}.block_sparse_moe.input_linear.weight",
            to: &[
                "model.layers.{i}.block_sparse_moe.switch_mlp.gate_proj.weight",
                "model.layers.{i}.block_sparse_moe.switch_mlp.up_proj.weight",
            ],
        },
        Rule::Rename(&[(
            "model.layers.{i}.block_sparse_moe.output_linear.weight",
            "model.layers.{i}.block_sparse_moe.switch_mlp.down_proj.weight",
        )]),
    ],
    fixed: &[
        Fixed::router("{*}.block_sparse_moe.router.layer"),
        Fixed::module("{*}.self_attn.o_proj"),
        Fixed::module("{*}mlp.down_proj"),
        Fixed::module("lm_head"),
    ],
    ..llama::LAYOUT
};
