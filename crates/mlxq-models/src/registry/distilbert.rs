//! DistilBERT (Sanh et al. 2019), as transformers' `DistilBertModel` and
//! `DistilBertForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Layout, Module, Rule};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("embeddings.word_embeddings"),
        Module::embedding("embeddings.position_embeddings"),
        Module::norm("embeddings.LayerNorm").with_bias(),
        Module::linear("transformer.layer.{i}.attention.q_lin").with_bias(),
        Module::linear("transformer.layer.{i}.attention.k_lin").with_bias(),
        Module::linear("transformer.layer.{i}.attention.v_lin").with_bias(),
        Module::linear("transformer.layer.{i}.attention.out_lin").with_bias(),
        Module::norm("transformer.layer.{i}.sa_layer_norm").with_bias(),
        Module::linear("transformer.layer.{i}.ffn.lin1").with_bias(),
        Module::linear("transformer.layer.{i}.ffn.lin2").with_bias(),
        Module::norm("transformer.layer.{i}.output_layer_norm").with_bias(),
    ]],
    heads: &[Module::head("pre_classifier"), Module::head("classifier")],
    counts: &[Count { hole: "i", keys: &["n_layers", "num_hidden_layers"], default: 6, less: 0 }],
    rules: &[
        Rule::Drop("{*}embeddings.position_ids", "a buffer, not a weight"),
        Rule::Drop("vocab_{*}", "a head that prediction does not use"),
        Rule::Drop("qa_outputs.{*}", "a head that prediction does not use"),
        Rule::RenameOld(&[
            ("{*}LayerNorm.gamma", "{*}LayerNorm.weight"),
            ("{*}LayerNorm.beta", "{*}LayerNorm.bias"),
        ]),
    ],
    ..Layout::encoder("DistilBertModel", "distilbert.")
};
