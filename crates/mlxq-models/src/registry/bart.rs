//! BART (Lewis et al. 2020), as transformers' `BartModel` and `BartForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Layout, Module, Rule};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("shared"),
        Module::embedding("encoder.embed_positions"),
        Module::norm("encoder.layernorm_embedding").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.q_proj").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.k_proj").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.v_proj").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.out_proj").with_bias(),
        Module::norm("encoder.layers.{i}.self_attn_layer_norm").with_bias(),
        Module::linear("encoder.layers.{i}.fc1").with_bias(),
        Module::linear("encoder.layers.{i}.fc2").with_bias(),
        Module::norm("encoder.layers.{i}.final_layer_norm").with_bias(),
        Module::embedding("decoder.embed_positions"),
        Module::norm("decoder.layernorm_embedding").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.q_proj").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.k_proj").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.v_proj").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.out_proj").with_bias(),
        Module::norm("decoder.layers.{j}.self_attn_layer_norm").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.q_proj").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.k_proj").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.v_proj").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.out_proj").with_bias(),
        Module::norm("decoder.layers.{j}.encoder_attn_layer_norm").with_bias(),
        Module::linear("decoder.layers.{j}.fc1").with_bias(),
        Module::linear("decoder.layers.{j}.fc2").with_bias(),
        Module::norm("decoder.layers.{j}.final_layer_norm").with_bias(),
    ]],
    heads: &[
        Module::head("classification_head.dense"),
        Module::head("classification_head.out_proj"),
    ],
    counts: &[
        Count { hole: "i", keys: &["encoder_layers"], default: 12, less: 0 },
        Count { hole: "j", keys: &["decoder_layers"], default: 12, less: 0 },
    ],
    rules: &[
        // Files that hold the one table under the encoder's name only.
        Rule::Copy { from: "model.encoder.embed_tokens.weight", to: "model.shared.weight" },
        Rule::Copy { from: "encoder.embed_tokens.weight", to: "shared.weight" },
        Rule::Drop("{*}encoder.embed_tokens.weight", "the shared table once more"),
        Rule::Drop("{*}decoder.embed_tokens.weight", "the shared table once more"),
        Rule::Drop("lm_head.{*}", "a head that prediction does not use"),
        Rule::Drop("qa_outputs.{*}", "a head that prediction does not use"),
        Rule::Drop("final_logits_bias", "a head that prediction does not use"),
    ],
    ..Layout::encoder("BartModel", "model.")
};
