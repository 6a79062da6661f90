//! GPT-NeoX (Black et al. 2022) and Pythia, as mlx_lm's `gpt_neox`.

use mlxq_checkpoint::layout::{Key, Layout, Module, Rule};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("model.embed_in"),
        Module::linear("model.h.{i}.attention.query_key_value"),
        Module::linear("model.h.{i}.attention.dense"),
        Module::linear("model.h.{i}.mlp.dense_h_to_4h"),
        Module::linear("model.h.{i}.mlp.dense_4h_to_h"),
        Module::norm("model.h.{i}.input_layernorm"),
        Module::norm("model.h.{i}.post_attention_layernorm"),
        Module::norm("model.final_layer_norm"),
        Module::linear("model.embed_out"),
    ]],
    rules: &[
        Rule::Drop("{*}.attention.bias", "a buffer, not a weight"),
        Rule::Drop("{*}.attention.masked_bias", "a buffer, not a weight"),
        Rule::Drop("{*}.attention.rotary_emb.inv_freq", "a buffer, not a weight"),
        Rule::Rename(&[
            ("gpt_neox.layers.{*}", "model.h.{*}"),
            ("embed_out.{*}", "model.embed_out.{*}"),
            ("gpt_neox.{*}", "model.{*}"),
        ]),
        Rule::Copy { from: "model.embed_in.weight", to: "model.embed_out.weight" },
    ],
    keys: &[
        Key::from("rotary_emb_base", &["rope_parameters", "rope_theta"]),
        Key::from("rotary_pct", &["rope_parameters", "partial_rotary_factor"]),
    ],
    ..Layout::decoder()
};
