//! Qwen2 (Yang et al. 2024), as mlx_lm's `qwen2`: Llama with biases of queries, keys and values.

use mlxq_checkpoint::layout::Layout;

use super::llama;

pub(super) const LAYOUT: Layout = llama::LAYOUT;
