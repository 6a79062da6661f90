//! MobileBERT (Sun et al. 2020), as transformers' `MobileBertModel` and
//! `MobileBertForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Layout, Module};

use super::bert;

pub(super) const LAYOUT: Layout = Layout {
    base: &[
        bert::EMBEDDINGS,
        bert::LAYERS,
        &[
            Module::linear("embeddings.embedding_transformation").with_bias().optional(),
            // One of them per layer but one; none without bottlenecks.
            Module::linear("encoder.layer.{i}.ffn.{k}.intermediate.dense").with_bias(),
            Module::linear("encoder.layer.{i}.ffn.{k}.output.dense").with_bias(),
            Module::norm("encoder.layer.{i}.ffn.{k}.output.LayerNorm").with_bias(),
            Module::linear("encoder.layer.{i}.bottleneck.input.dense").with_bias().optional(),
            Module::norm("encoder.layer.{i}.bottleneck.input.LayerNorm").with_bias().optional(),
            Module::linear("encoder.layer.{i}.bottleneck.attention.dense").with_bias().optional(),
            Module::norm("encoder.layer.{i}.bottleneck.attention.LayerNorm")
                .with_bias()
                .optional(),
            Module::linear("encoder.layer.{i}.output.bottleneck.dense").with_bias().optional(),
            Module::norm("encoder.layer.{i}.output.bottleneck.LayerNorm").with_bias().optional(),
        ],
    ],
    heads: bert::LAYOUT.heads,
    counts: &[
        Count { hole: "i", keys: &["num_hidden_layers"], default: 24, less: 0 },
        Count { hole: "k", keys: &["num_feedforward_networks"], default: 4, less: 1 },
    ],
    rules: bert::LAYOUT.rules,
    ..Layout::encoder("MobileBertModel", "mobilebert.")
};
