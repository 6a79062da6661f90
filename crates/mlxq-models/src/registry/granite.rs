//! Granite 3 (IBM 2024), as mlx_lm's `granite`: Llama's shape, some products always at 8 bits.

use mlxq_checkpoint::layout::{Fixed, Layout};

use super::llama;

pub(super) const LAYOUT: Layout = Layout {
    fixed: &[
        Fixed::module("{*}.self_attn.o_proj"),
        Fixed::module("{*}.mlp.down_proj"),
        Fixed::module("lm_head"),
    ],
    ..llama::LAYOUT
};
