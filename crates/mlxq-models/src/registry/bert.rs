//! BERT (Devlin et al. 2018), as transformers' `BertModel` and `BertForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};

use super::Description;
use crate::blocks::{Head, Layer, LayerShape};
use crate::{
    Activation, AttentionSpec, Config, Encoder, ModelError, NormKind, Ops, Pooling, Positions, Scope, Tokens,
};

/// The three tables and their norm.
pub(super) const EMBEDDINGS: &[Module] = &[
    Module::embedding("embeddings.word_embeddings"),
    Module::embedding("embeddings.position_embeddings"),
    Module::embedding("embeddings.token_type_embeddings"),
    Module::norm("embeddings.LayerNorm").with_bias(),
];

/// The layers, and the pooler that some checkpoints have.
pub(super) const LAYERS: &[Module] = &[
    Module::linear("encoder.layer.{i}.attention.self.query").with_bias(),
    Module::linear("encoder.layer.{i}.attention.self.key").with_bias(),
    Module::linear("encoder.layer.{i}.attention.self.value").with_bias(),
    Module::linear("encoder.layer.{i}.attention.output.dense").with_bias(),
    Module::norm("encoder.layer.{i}.attention.output.LayerNorm").with_bias(),
    Module::linear("encoder.layer.{i}.intermediate.dense").with_bias(),
    Module::linear("encoder.layer.{i}.output.dense").with_bias(),
    Module::norm("encoder.layer.{i}.output.LayerNorm").with_bias(),
    Module::head("pooler.dense").optional(),
];

pub(super) const LAYOUT: Layout = Layout {
    base: &[EMBEDDINGS, LAYERS],
    heads: &[Module::head("classifier")],
    rules: &[
        Rule::Drop("{*}embeddings.position_ids", "a buffer, not a weight"),
        Rule::Drop("{*}embeddings.token_type_ids", "a buffer, not a weight"),
        Rule::Drop("cls.{*}", "a head that prediction does not use"),
        Rule::Drop("lm_head.{*}", "a head that prediction does not use"),
        Rule::Drop("qa_outputs.{*}", "a head that prediction does not use"),
        Rule::RenameOld(&[
            ("{*}LayerNorm.gamma", "{*}LayerNorm.weight"),
            ("{*}LayerNorm.beta", "{*}LayerNorm.bias"),
        ]),
    ],
    ..Layout::encoder("BertModel", "bert.")
};

/// The names of `BertLayer`'s modules.
const ATTENTION: [&str; 5] = [
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
];
const FEED_FORWARD: [&str; 3] = ["intermediate.dense", "output.dense", "output.LayerNorm"];

/// The settings of `BertConfig` that change the computation, with its defaults.
pub(super) struct Settings {
    pub(super) vocab_size: usize,
    pub(super) layer: LayerShape,
    pub(super) num_hidden_layers: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    /// How places are numbered.
    pub(super) positions: Positions,
}

impl Settings {
    pub(super) fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_other_than_encoder()?;
        let hidden_size = config.size("hidden_size", 768, 1 << 16)?;
        let heads = config.heads("num_attention_heads", 12, ("hidden_size", hidden_size))?;
        Ok(Self {
            vocab_size: config.size("vocab_size", 30522, 1 << 24)?,
            layer: LayerShape {
                width: hidden_size,
                inner: config.size("intermediate_size", 3072, 1 << 18)?,
                attention: AttentionSpec::new(hidden_size, heads),
                norm: NormKind::LayerNorm(config.positive("layer_norm_eps", 1e-12)?),
                activation: config.activation("hidden_act", "gelu")?,
            },
            num_hidden_layers: config.size("num_hidden_layers", 12, 1 << 12)?,
            max_position_embeddings: config.size("max_position_embeddings", 512, 1 << 24)?,
            type_vocab_size: config.size("type_vocab_size", 2, 1 << 16)?,
            positions: Positions::From(0),
        })
    }
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    let settings = Settings::read(config)?;
    Ok(Description {
        max_tokens: settings.max_position_embeddings,
        token_types: Some(settings.type_vocab_size),
        ..Description::new(&LAYOUT, settings.vocab_size)
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<Bert<O>, ModelError> {
    Bert::load(&Settings::read(config)?, labels, ["pooler.dense", "classifier"], scope)
}

/// `BertModel`, with the head of `BertForSequenceClassification` if there is one: the first token's
/// vector through two layers.
pub(super) struct Bert<O: Ops> {
    embeddings: Embeddings<O>,
    layers: Vec<Layer<O>>,
    head: Option<Head<O>>,
}

impl<O: Ops> Bert<O> {
    /// Loads the model; `head` are the names of its head's two layers.
    pub(super) fn load(
        settings: &Settings,
        labels: Option<usize>,
        head: [&str; 2],
        scope: &Scope<O>,
    ) -> Result<Self, ModelError> {
        let width = settings.layer.width;
        let head = |labels| Head::load(scope, head, [width, labels], Activation::Tanh);
        let layer = |i: usize| {
            let scope = scope.at(&format!("encoder.layer.{i}"));
            Layer::load(&scope, ATTENTION, FEED_FORWARD, &settings.layer)
        };
        Ok(Self {
            embeddings: Embeddings::load(settings, &scope.at("embeddings"))?,
            layers: (0..settings.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            head: labels.map(head).transpose()?,
        })
    }
}

impl<O: Ops> Encoder<O> for Bert<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let embedded = self.embeddings.forward(ops, tokens);
        self.layers.iter().fold(embedded, |x, layer| layer.forward(ops, x, tokens.offsets, None))
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        let first = |head: &Head<O>| {
            head.forward(ops, &ops.pool(hidden, tokens.offsets, &[Pooling::Cls]))
        };
        self.head.as_ref().map(first)
    }
}

/// `BertEmbeddings`: the sum of three tables, normalized.
struct Embeddings<O: Ops> {
    word: O::Embedding,
    position: O::Embedding,
    token_type: O::Embedding,
    norm: O::Norm,
    positions: Positions,
}

impl<O: Ops> Embeddings<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let width = settings.layer.width;
        let table = |name, rows| scope.embedding(name, [rows, width]);
        Ok(Self {
            word: table("word_embeddings", settings.vocab_size)?,
            position: table("position_embeddings", settings.max_position_embeddings)?,
            token_type: table("token_type_embeddings", settings.type_vocab_size)?,
            norm: scope.norm("LayerNorm", width, settings.layer.norm)?,
            positions: settings.positions,
        })
    }

    fn forward(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let words = ops.embed(&self.word, tokens.ids);
        let typed = ops.embed_add(words, &self.token_type, tokens.type_ids);
        let placed = ops.embed_add(typed, &self.position, &self.positions.of(tokens));
        ops.norm(&placed, &self.norm)
    }
}
