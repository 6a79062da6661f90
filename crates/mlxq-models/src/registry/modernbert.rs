//! ModernBERT (Warner et al. 2024), as transformers' `ModernBertModel` and
//! `ModernBertForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Key, KeyValue, Kind, Layout, Module, Rule};

pub(super) const LAYOUT: Layout = Layout {
    // Every MLX client's mask overflows in float16 and gives NaN.
    kind: Kind::Encoder {
        base_class: "ModernBertModel",
        base_prefix: "model.",
        needs_bfloat16: true,
    },
    base: &[&[
        Module::embedding("embeddings.tok_embeddings"),
        Module::norm("embeddings.norm"),
        // The first layer has none.
        Module::norm("layers.{i}.attn_norm").optional(),
        Module::linear("layers.{i}.attn.Wqkv"),
        Module::linear("layers.{i}.attn.Wo"),
        Module::norm("layers.{i}.mlp_norm"),
        Module::linear("layers.{i}.mlp.Wi"),
        Module::linear("layers.{i}.mlp.Wo"),
        Module::norm("final_norm"),
    ]],
    heads: &[
        Module::head("head.dense").maybe_bias(),
        Module::norm("head.norm"),
        Module::head("classifier"),
    ],
    counts: &[Count { hole: "i", keys: &["num_hidden_layers"], default: 22, less: 0 }],
    rules: &[Rule::Drop("decoder.{*}", "a head that prediction does not use")],
    keys: &[
        Key::from("global_rope_theta", &["rope_parameters", "full_attention", "rope_theta"]),
        Key::from("local_rope_theta", &["rope_parameters", "sliding_attention", "rope_theta"]),
        Key { name: "classifier_pooling", value: KeyValue::PoolingMode },
    ],
    ..Layout::decoder()
};
