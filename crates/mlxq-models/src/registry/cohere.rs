//! Command R (Cohere 2024), as mlx_lm's `cohere`: one norm per layer, its head always the embedding.

use mlxq_checkpoint::layout::{Layout, Module};

use super::gemma;
use super::llama::{CORE, MLP};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        MLP,
        &[
            Module::norm("model.layers.{i}.input_layernorm"),
            // A row for each head.
            Module::raw("model.layers.{i}.self_attn.q_norm").optional(),
            Module::raw("model.layers.{i}.self_attn.k_norm").optional(),
        ],
    ],
    ..gemma::LAYOUT
};
