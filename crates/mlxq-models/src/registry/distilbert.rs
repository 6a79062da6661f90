//! DistilBERT (Sanh et al. 2019), as transformers' `DistilBertModel` and
//! `DistilBertForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Layout, Module, Rule};

use super::Description;
use crate::blocks::{Head, Layer, LayerShape};
use crate::{
    Activation, AttentionSpec, Config, Encoder, ModelError, NormKind, Ops, Pooling, Positions, Scope, Tokens,
};

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

/// The names of `TransformerBlock`'s modules.
const ATTENTION: [&str; 5] = [
    "attention.q_lin",
    "attention.k_lin",
    "attention.v_lin",
    "attention.out_lin",
    "sa_layer_norm",
];
const FEED_FORWARD: [&str; 3] = ["ffn.lin1", "ffn.lin2", "output_layer_norm"];

/// The epsilon of every norm, which no setting changes.
const NORM: NormKind = NormKind::LayerNorm(1e-12);

/// The settings of `DistilBertConfig` that change the computation, with its defaults and the names
/// that its `attribute_map` takes for them. Sinusoidal positions lie in the checkpoint's table.
struct Settings {
    vocab_size: usize,
    layer: LayerShape,
    n_layers: usize,
    max_position_embeddings: usize,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_other_than_encoder()?;
        let width = config.present(&["dim", "hidden_size"])?;
        let layers = config.present(&["n_layers", "num_hidden_layers"])?;
        let heads = config.present(&["n_heads", "num_attention_heads"])?;
        let dim = config.size(width, 768, 1 << 16)?;
        let heads = config.heads(heads, 12, (width, dim))?;
        Ok(Self {
            vocab_size: config.size("vocab_size", 30522, 1 << 24)?,
            layer: LayerShape {
                width: dim,
                inner: config.size("hidden_dim", 3072, 1 << 18)?,
                attention: AttentionSpec::new(dim, heads),
                norm: NORM,
                activation: config.activation("activation", "gelu")?,
            },
            n_layers: config.size(layers, 6, 1 << 12)?,
            max_position_embeddings: config.size("max_position_embeddings", 512, 1 << 24)?,
        })
    }
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    let settings = Settings::read(config)?;
    Ok(Description {
        max_tokens: settings.max_position_embeddings,
        ..Description::new(&LAYOUT, settings.vocab_size)
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<DistilBert<O>, ModelError> {
    let settings = Settings::read(config)?;
    let width = settings.layer.width;
    let embeddings = scope.at("embeddings");
    let table = |name, rows| embeddings.embedding(name, [rows, width]);
    let layer = |i: usize| {
        let scope = scope.at(&format!("transformer.layer.{i}"));
        Layer::load(&scope, ATTENTION, FEED_FORWARD, &settings.layer)
    };
    let names = ["pre_classifier", "classifier"];
    let head = |labels| Head::load(scope, names, [width, labels], Activation::Relu);
    Ok(DistilBert {
        word: table("word_embeddings", settings.vocab_size)?,
        position: table("position_embeddings", settings.max_position_embeddings)?,
        norm: embeddings.norm("LayerNorm", width, NORM)?,
        layers: (0..settings.n_layers).map(layer).collect::<Result<_, _>>()?,
        head: labels.map(head).transpose()?,
    })
}

/// `DistilBertModel`, with the head of `DistilBertForSequenceClassification` if there is one: the
/// first token's vector through two layers.
pub(super) struct DistilBert<O: Ops> {
    word: O::Embedding,
    position: O::Embedding,
    norm: O::Norm,
    layers: Vec<Layer<O>>,
    head: Option<Head<O>>,
}

impl<O: Ops> Encoder<O> for DistilBert<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let words = ops.embed(&self.word, tokens.ids);
        let placed = ops.embed_add(words, &self.position, &Positions::From(0).of(tokens));
        let embedded = ops.norm(&placed, &self.norm);
        self.layers.iter().fold(embedded, |x, layer| layer.forward(ops, x, tokens.offsets, None))
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        let head = self.head.as_ref()?;
        Some(head.forward(ops, &ops.pool(hidden, tokens.offsets, &[Pooling::Cls])))
    }
}
