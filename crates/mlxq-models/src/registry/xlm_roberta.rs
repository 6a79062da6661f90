//! XLM-R (Conneau et al. 2020): RoBERTa's shape under its own names.

use mlxq_checkpoint::layout::Layout;

use super::roberta;

pub(super) const LAYOUT: Layout = Layout {
    base: roberta::LAYOUT.base,
    heads: roberta::LAYOUT.heads,
    rules: roberta::LAYOUT.rules,
    ..Layout::encoder("XLMRobertaModel", "roberta.")
};
