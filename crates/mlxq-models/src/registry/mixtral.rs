//! Mixtral (Jiang et al. 2024), as mlx_lm's `mixtral`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};

use super::llama::{CORE, DROP_INV_FREQ, NORMS, OWN_HEAD};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        NORMS,
        &[
            Module::linear("model.layers.{i}.block_sparse_moe.gate"),
            Module::experts("model.layers.{i}.block_sparse_moe.switch_mlp.gate_proj"),
            Module::experts("model.layers.{i}.block_sparse_moe.switch_mlp.up_proj"),
            Module::experts("model.layers.{i}.block_sparse_moe.switch_mlp.down_proj"),
        ],
        OWN_HEAD,
    ],
    rules: &[
        DROP_INV_FREQ,
        Rule::DropTied("lm_head.weight", false),
        Rule::Rename(&[
            (
                "model.layers.{i}.block_sparse_moe.experts.{e}.w1.weight",
                "model.layers.{i}.block_sparse_moe.experts.{e}.gate_proj.weight",
            ),
            (
                "model.layers.{i}.block_sparse_moe.experts.{e}.w2.weight",
                "model.layers.{i}.block_sparse_moe.experts.{e}.down_proj.weight",
            ),
            (
                "model.layers.{i}.block_sparse_moe.experts.{e}.w3.weight",
                "model.layers.{i}.block_sparse_moe.experts.{e}.up_proj.weight",
            ),
        ]),
        Rule::Stack {
            from: "model.layers.{i}.block_sparse_moe.experts.{e}.{*}",
            to: "model.layers.{i}.block_sparse_moe.switch_mlp.{*}",
            count: &["num_local_experts"],
        },
    ],
    ..Layout::decoder()
};
