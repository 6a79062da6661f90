//! DeBERTa v2 and v3 (He et al. 2021), as transformers' `DebertaV2Model` and
//! `DebertaV2ForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("embeddings.word_embeddings"),
        Module::embedding("embeddings.position_embeddings").optional(),
        Module::embedding("embeddings.token_type_embeddings").optional(),
        Module::linear("embeddings.embed_proj").optional(),
        Module::norm("embeddings.LayerNorm").with_bias(),
        Module::embedding("encoder.rel_embeddings").optional(),
        Module::norm("encoder.LayerNorm").with_bias().optional(),
        // Kept in the axis order of PyTorch, which no client reads otherwise.
        Module::raw("encoder.conv.conv").maybe_bias().optional(),
        Module::norm("encoder.conv.LayerNorm").with_bias().optional(),
        Module::linear("encoder.layer.{i}.attention.self.query_proj").with_bias(),
        Module::linear("encoder.layer.{i}.attention.self.key_proj").with_bias(),
        Module::linear("encoder.layer.{i}.attention.self.value_proj").with_bias(),
        Module::linear("encoder.layer.{i}.attention.self.pos_key_proj").optional(),
        Module::linear("encoder.layer.{i}.attention.self.pos_query_proj").optional(),
        Module::linear("encoder.layer.{i}.attention.output.dense").with_bias(),
        Module::norm("encoder.layer.{i}.attention.output.LayerNorm").with_bias(),
        Module::linear("encoder.layer.{i}.intermediate.dense").with_bias(),
        Module::linear("encoder.layer.{i}.output.dense").with_bias(),
        Module::norm("encoder.layer.{i}.output.LayerNorm").with_bias(),
    ]],
    heads: &[Module::head("pooler.dense"), Module::head("classifier")],
    rules: &[
        Rule::Drop("{*}embeddings.position_ids", "a buffer, not a weight"),
        Rule::Drop("cls.{*}", "a head that prediction does not use"),
        Rule::Drop("lm_predictions.{*}", "a head that prediction does not use"),
        Rule::Drop("mask_predictions.{*}", "a head that prediction does not use"),
        Rule::Drop("qa_outputs.{*}", "a head that prediction does not use"),
        Rule::RenameOld(&[
            ("{*}LayerNorm.gamma", "{*}LayerNorm.weight"),
            ("{*}LayerNorm.beta", "{*}LayerNorm.bias"),
        ]),
    ],
    ..Layout::encoder("DebertaV2Model", "deberta.")
};
