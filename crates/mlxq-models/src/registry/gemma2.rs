//! Gemma 2 (Gemma Team 2024), as mlx_lm's `gemma2`: Gemma with norms around the feed-forward part.

use mlxq_checkpoint::layout::{Layout, Module};

use super::gemma;
use super::llama::{CORE, MLP, NORMS};

/// The norms around the feed-forward part.
pub(super) const FEEDFORWARD_NORMS: &[Module] = &[
    Module::norm("model.layers.{i}.pre_feedforward_layernorm"),
    Module::norm("model.layers.{i}.post_feedforward_layernorm"),
];

pub(super) const LAYOUT: Layout =
    Layout { base: &[CORE, MLP, NORMS, FEEDFORWARD_NORMS], ..gemma::LAYOUT };
