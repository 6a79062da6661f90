//! RoBERTa (Liu et al. 2019), as transformers' `RobertaModel` and `RobertaForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module};
use serde_json::Value;

use super::{Description, bert};
use crate::config::wrong;
use crate::{Config, ModelError, Ops, Positions, Scope};

/// The head, which camembert and XLM-R share.
pub(super) const HEADS: &[Module] =
    &[Module::head("classifier.dense"), Module::head("classifier.out_proj")];

pub(super) const LAYOUT: Layout = Layout {
    base: bert::LAYOUT.base,
    heads: HEADS,
    rules: bert::LAYOUT.rules,
    ..Layout::encoder("RobertaModel", "roberta.")
};

/// The size of the vocabulary by `RobertaConfig`.
const VOCABULARY: usize = 50265;

/// The settings of `RobertaConfig`: BERT's, but for the positions, which begin behind the padding id;
/// and that id.
fn settings(config: Config, default_vocab: usize) -> Result<(bert::Settings, u32), ModelError> {
    let vocab_size = config.size("vocab_size", default_vocab, 1 << 24)?;
    let padding = config.token("pad_token_id", 1, vocab_size)?;
    let positions = Positions::AfterPadding(padding);
    let settings = bert::Settings { vocab_size, positions, ..bert::Settings::read(config)? };
    let table = settings.max_position_embeddings;
    if table <= padding as usize + 1 {
        let expected = format!("more than `pad_token_id` + 1 = {}", padding + 1);
        return Err(wrong("max_position_embeddings", &Value::from(table), &expected));
    }
    Ok((settings, padding))
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    describe_as(&LAYOUT, config, VOCABULARY)
}

/// The same for a layout with the same modules.
pub(super) fn describe_as(
    layout: &'static Layout,
    config: Config,
    default_vocab: usize,
) -> Result<Description, ModelError> {
    let (settings, padding) = settings(config, default_vocab)?;
    Ok(Description {
        max_tokens: settings.max_position_embeddings - padding as usize - 1,
        // RoBERTa's tokenizer knows no segments: a table of one row is added to all tokens.
        token_types: Some(settings.type_vocab_size).filter(|types| *types > 1),
        ..Description::new(layout, settings.vocab_size)
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<bert::Bert<O>, ModelError> {
    build_as(config, VOCABULARY, labels, scope)
}

/// The same for another default of the vocabulary's size.
pub(super) fn build_as<O: Ops>(
    config: Config,
    default_vocab: usize,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<bert::Bert<O>, ModelError> {
    let (settings, _) = settings(config, default_vocab)?;
    bert::Bert::load(&settings, labels, ["classifier.dense", "classifier.out_proj"], scope)
}
