//! Qwen3 (Yang et al. 2025), as mlx_lm's `qwen3`.

use mlxq_checkpoint::layout::{Layout, Rule};

use super::llama::{CORE, DROP_INV_FREQ, MLP, NORMS, OWN_HEAD, QK_NORMS};

pub(super) const LAYOUT: Layout = Layout {
    base: &[CORE, MLP, NORMS, QK_NORMS, OWN_HEAD],
    rules: &[DROP_INV_FREQ, Rule::DropTied("lm_head.weight", false)],
    ..Layout::decoder()
};
