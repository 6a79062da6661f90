//! Llama (Touvron et al. 2023) and Mistral, as mlx_lm's `llama`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};

/// The table, the last norm and the layers' products, which many decoders share.
pub(super) const CORE: &[Module] = &[
    Module::embedding("model.embed_tokens"),
    Module::linear("model.layers.{i}.self_attn.q_proj"),
    Module::linear("model.layers.{i}.self_attn.k_proj"),
    Module::linear("model.layers.{i}.self_attn.v_proj"),
    Module::linear("model.layers.{i}.self_attn.o_proj"),
    Module::norm("model.norm"),
];

/// The gated feed-forward part.
pub(super) const MLP: &[Module] = &[
    Module::linear("model.layers.{i}.mlp.gate_proj"),
    Module::linear("model.layers.{i}.mlp.up_proj"),
    Module::linear("model.layers.{i}.mlp.down_proj"),
];

/// The norms before attention and feed-forward part.
pub(super) const NORMS: &[Module] = &[
    Module::norm("model.layers.{i}.input_layernorm"),
    Module::norm("model.layers.{i}.post_attention_layernorm"),
];

/// The norms of queries and keys that newer decoders have.
pub(super) const QK_NORMS: &[Module] = &[
    Module::norm("model.layers.{i}.self_attn.q_norm"),
    Module::norm("model.layers.{i}.self_attn.k_norm"),
];

/// A head that is the embedding unless the configuration says otherwise.
pub(super) const HEAD: &[Module] = &[Module::linear("lm_head").unless_tied(true)];

/// A head that is the embedding only if the configuration says so.
pub(super) const OWN_HEAD: &[Module] = &[Module::linear("lm_head").unless_tied(false)];

/// A buffer of older files.
pub(super) const DROP_INV_FREQ: Rule =
    Rule::Drop("{*}.rotary_emb.inv_freq", "a buffer, not a weight");

pub(super) const LAYOUT: Layout = Layout {
    base: &[CORE, MLP, NORMS, HEAD],
    rules: &[DROP_INV_FREQ, Rule::DropTied("lm_head.weight", true)],
    ..Layout::decoder()
};
