//! Gemma 3 (Gemma Team 2025), text only, as mlx_lm's `gemma3_text`.

use mlxq_checkpoint::layout::{Key, Layout, Module};

use super::gemma2::FEEDFORWARD_NORMS;
use super::llama::{CORE, MLP, NORMS, QK_NORMS};

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        CORE,
        MLP,
        NORMS,
        FEEDFORWARD_NORMS,
        QK_NORMS,
        // mlx_lm has a head of its own exactly where the file has one.
        &[Module::linear("lm_head").optional()],
    ],
    keys: &[Key::from("sliding_window_pattern", &["_sliding_window_pattern"])],
    ..Layout::decoder()
};
