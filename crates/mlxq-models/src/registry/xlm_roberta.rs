//! XLM-R (Conneau et al. 2020): RoBERTa's shape under its own names.

use mlxq_checkpoint::layout::Layout;

use super::bert::Bert;
use super::{Description, roberta};
use crate::{Config, ModelError, Ops, Scope};

pub(super) const LAYOUT: Layout = Layout {
    base: roberta::LAYOUT.base,
    heads: roberta::LAYOUT.heads,
    rules: roberta::LAYOUT.rules,
    ..Layout::encoder("XLMRobertaModel", "roberta.")
};

/// The size of the vocabulary by `XLMRobertaConfig`.
const VOCABULARY: usize = 30522;

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    roberta::describe_as(&LAYOUT, config, VOCABULARY)
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<Bert<O>, ModelError> {
    roberta::build_as(config, VOCABULARY, labels, scope)
}
