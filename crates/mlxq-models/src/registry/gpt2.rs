//! GPT-2 (Radford et al. 2019), as mlx_lm's `gpt2`. Its products are stored transposed, as `Conv1D`.

use mlxq_checkpoint::layout::{Count, Key, Layout, Module, Rule};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("model.wte"),
        Module::embedding("model.wpe"),
        Module::linear("model.h.{i}.attn.c_attn"),
        Module::linear("model.h.{i}.attn.c_proj"),
        Module::linear("model.h.{i}.mlp.c_fc"),
        Module::linear("model.h.{i}.mlp.c_proj"),
        Module::norm("model.h.{i}.ln_1"),
        Module::norm("model.h.{i}.ln_2"),
        Module::norm("model.ln_f"),
    ]],
    counts: &[Count { hole: "i", keys: &["n_layer", "num_hidden_layers"], default: 12, less: 0 }],
    rules: &[
        Rule::Drop("lm_head.weight", "the embedding once more"),
        Rule::Drop("{*}h.{i}.attn.bias", "a buffer, not a weight"),
        Rule::Drop("{*}h.{i}.attn.masked_bias", "a buffer, not a weight"),
        // The Hub's files have bare names, those of `GPT2LMHeadModel` this prefix.
        Rule::RenameOld(&[("transformer.{*}", "{*}")]),
        Rule::Transpose("h.{i}.attn.c_attn.weight"),
        Rule::Transpose("h.{i}.attn.c_proj.weight"),
        Rule::Transpose("h.{i}.mlp.c_fc.weight"),
        Rule::Transpose("h.{i}.mlp.c_proj.weight"),
        Rule::Rename(&[("{*}", "model.{*}")]),
    ],
    keys: &[Key::from("n_ctx", &["n_positions"])],
    ..Layout::decoder()
};
