//! StarCoder 2 (Lozhkov et al. 2024), as mlx_lm's `starcoder2`.

use mlxq_checkpoint::layout::{Layout, Module};

use super::llama::{self, CORE, HEAD, NORMS};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        NORMS,
        &[
            Module::linear("model.layers.{i}.mlp.c_fc"),
            Module::linear("model.layers.{i}.mlp.c_proj"),
        ],
        HEAD,
    ],
    ..llama::LAYOUT
};
