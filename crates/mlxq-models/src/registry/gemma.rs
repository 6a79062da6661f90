//! Gemma (Gemma Team 2024), as mlx_lm's `gemma`: Llama's shape, its head always the embedding.

use mlxq_checkpoint::layout::{Layout, Rule};

use super::llama::{CORE, MLP, NORMS};

/// The head of types that always use the embedding.
pub(super) const DROP_HEAD: Rule = Rule::Drop("lm_head.weight", "the embedding once more");

pub(super) const LAYOUT: Layout =
    Layout { base: &[CORE, MLP, NORMS], rules: &[DROP_HEAD], ..Layout::decoder() };
