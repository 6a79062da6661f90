//! SmolLM3 (Bakouch et al. 2025), as mlx_lm's `smollm3`: Llama's shape; some layers turn no positions.

use mlxq_checkpoint::layout::Layout;

use super::llama;

pub(super) const LAYOUT: Layout = llama::LAYOUT;
