//! RoBERTa (Liu et al. 2019), as transformers' `RobertaModel` and `RobertaForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module};

use super::bert;

/// The head, which camembert and XLM-R share.
pub(super) const HEADS: &[Module] =
    &[Module::head("classifier.dense"), Module::head("classifier.out_proj")];

pub(super) const LAYOUT: Layout = Layout {
    base: bert::LAYOUT.base,
    heads: HEADS,
    rules: bert::LAYOUT.rules,
    ..Layout::encoder("RobertaModel", "roberta.")
};
