//! Granite 3 (IBM 2024), as mlx_lm's `granite`: Llama's shape, some products always at 8 bits.

use mlxq_checkpoint::layout::Layout;

use super::llama;

pub(super) const LAYOUT: Layout = Layout {
    fixed: &[
        ("{*}.self_attn.o_proj", 8, 64),
        ("{*}.mlp.down_proj", 8, 64),
        ("lm_head", 8, 64),
    ],
    ..llama::LAYOUT
};
