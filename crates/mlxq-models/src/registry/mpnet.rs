//! MPNet (Song et al. 2020), as transformers' `MPNetModel` and `MPNetForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module};

use super::{bert, roberta};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("embeddings.word_embeddings"),
        Module::embedding("embeddings.position_embeddings"),
        Module::norm("embeddings.LayerNorm").with_bias(),
        Module::raw("encoder.relative_attention_bias"),
        Module::linear("encoder.layer.{i}.attention.attn.q").with_bias(),
        Module::linear("encoder.layer.{i}.attention.attn.k").with_bias(),
        Module::linear("encoder.layer.{i}.attention.attn.v").with_bias(),
        Module::linear("encoder.layer.{i}.attention.attn.o").with_bias(),
        Module::norm("encoder.layer.{i}.attention.LayerNorm").with_bias(),
        Module::linear("encoder.layer.{i}.intermediate.dense").with_bias(),
        Module::linear("encoder.layer.{i}.output.dense").with_bias(),
        Module::norm("encoder.layer.{i}.output.LayerNorm").with_bias(),
        Module::head("pooler.dense").optional(),
    ]],
    heads: roberta::HEADS,
    rules: bert::LAYOUT.rules,
    ..Layout::encoder("MPNetModel", "mpnet.")
};
