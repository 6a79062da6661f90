//! MobileBERT (Sun et al. 2020), as transformers' `MobileBertModel` and
//! `MobileBertForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Layout, Module};

use super::{Description, bert};
use crate::blocks::{FeedForward, LayerShape, Projections};
use crate::config::wrong;
use crate::{
    Activation, AttentionSpec, Config, Encoder, ModelError, NormKind, Ops, Pooling, Positions, Scope,
    Tokens,
};

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

/// The names of the attention's modules, and of a feed-forward block's.
const PROJECTIONS: [&str; 3] =
    ["attention.self.query", "attention.self.key", "attention.self.value"];
const FEED_FORWARD: [&str; 3] = ["intermediate.dense", "output.dense", "output.LayerNorm"];

/// Which tensors the attention of a layer reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inputs {
    /// The layer's input; there is no bottleneck.
    Whole,
    /// The bottleneck's output, for queries, keys and values (`use_bottleneck_attention`).
    Bottleneck,
    /// The output of a bottleneck of their own for queries and keys, the layer's input for values
    /// (`key_query_shared_bottleneck`).
    SharedByQueryAndKey,
    /// The layer's input for all; the bottleneck serves the sum behind alone.
    Unshared,
}

/// The settings of `MobileBertConfig` that change the computation, with its defaults.
struct Settings {
    vocab_size: usize,
    embedding_size: usize,
    hidden_size: usize,
    /// Width inside a layer.
    true_hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    hidden_act: Activation,
    norm: NormKind,
    /// Of the two norms that transformers makes without the configured epsilon.
    plain_norm: NormKind,
    trigram_input: bool,
    inputs: Inputs,
    num_feedforward_networks: usize,
    classifier_activation: bool,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_other_than_encoder()?;
        let hidden_size = config.size("hidden_size", 512, 1 << 16)?;
        let inputs = inputs(config)?;
        let true_hidden_size = match inputs {
            Inputs::Whole => hidden_size,
            _ => config.size("intra_bottleneck_size", 128, 1 << 16)?,
        };
        config.refuse_unless("true_hidden_size", &true_hidden_size.into())?;
        if inputs == Inputs::Unshared && true_hidden_size != hidden_size {
            let expected = format!("`hidden_size` = {hidden_size}, where nothing shares bottlenecks");
            return Err(wrong("intra_bottleneck_size", &true_hidden_size.into(), &expected));
        }
        let (norm, plain_norm) = norms(config)?;
        Ok(Self {
            vocab_size: config.size("vocab_size", 30522, 1 << 24)?,
            embedding_size: config.size("embedding_size", 128, 1 << 16)?,
            hidden_size,
            true_hidden_size,
            num_hidden_layers: config.size("num_hidden_layers", 24, 1 << 12)?,
            num_attention_heads: config.heads(
                "num_attention_heads",
                4,
                ("true_hidden_size", true_hidden_size),
            )?,
            intermediate_size: config.size("intermediate_size", 512, 1 << 18)?,
            max_position_embeddings: config.size("max_position_embeddings", 512, 1 << 24)?,
            type_vocab_size: config.size("type_vocab_size", 2, 1 << 16)?,
            hidden_act: config.activation("hidden_act", "relu")?,
            norm,
            plain_norm,
            trigram_input: config.flag("trigram_input", true)?,
            inputs,
            num_feedforward_networks: config.size("num_feedforward_networks", 4, 1 << 12)?,
            classifier_activation: config.flag("classifier_activation", true)?,
        })
    }

    /// A feed-forward block inside a layer, with that norm.
    fn feed_forward(&self, norm: NormKind) -> LayerShape {
        LayerShape {
            width: self.true_hidden_size,
            inner: self.intermediate_size,
            attention: AttentionSpec::new(self.true_hidden_size, self.num_attention_heads),
            norm,
            activation: self.hidden_act,
        }
    }
}

fn inputs(config: Config) -> Result<Inputs, ModelError> {
    let bottleneck = config.flag("use_bottleneck", true)?;
    let attention = config.flag("use_bottleneck_attention", false)?;
    let shared = config.flag("key_query_shared_bottleneck", true)?;
    Ok(match (bottleneck, attention, shared) {
        (false, _, _) => Inputs::Whole,
        (true, true, _) => Inputs::Bottleneck,
        (true, false, true) => Inputs::SharedByQueryAndKey,
        (true, false, false) => Inputs::Unshared,
    })
}

/// The norm with the configured epsilon, and the one with PyTorch's default.
fn norms(config: Config) -> Result<(NormKind, NormKind), ModelError> {
    let epsilon = config.positive("layer_norm_eps", 1e-12)?;
    match config.text("normalization_type", "no_norm")? {
        "no_norm" => Ok((NormKind::ScaleAndShift, NormKind::ScaleAndShift)),
        "layer_norm" => Ok((NormKind::LayerNorm(epsilon), NormKind::LayerNorm(1e-5))),
        other => Err(wrong("normalization_type", &other.into(), "`no_norm` or `layer_norm`")),
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
) -> Result<MobileBert<O>, ModelError> {
    let settings = Settings::read(config)?;
    let layer = |i: usize| Layer::load(&settings, &scope.at(&format!("encoder.layer.{i}")));
    Ok(MobileBert {
        embeddings: Embeddings::load(&settings, &scope.at("embeddings"))?,
        layers: (0..settings.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
        head: labels.map(|labels| Head::load(&settings, labels, scope)).transpose()?,
    })
}

/// `MobileBertModel`, with the head of `MobileBertForSequenceClassification` if there is one.
pub(super) struct MobileBert<O: Ops> {
    embeddings: Embeddings<O>,
    layers: Vec<Layer<O>>,
    head: Option<Head<O>>,
}

impl<O: Ops> Encoder<O> for MobileBert<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let embedded = self.embeddings.forward(ops, tokens);
        self.layers.iter().fold(embedded, |x, layer| layer.forward(ops, x, tokens.offsets))
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        let head = self.head.as_ref()?;
        Some(head.forward(ops, ops.pool(hidden, tokens.offsets, &[Pooling::Cls])))
    }
}

/// `MobileBertEmbeddings`: a narrow table of words, made wide by a layer that sees three of them at
/// once.
struct Embeddings<O: Ops> {
    word: O::Embedding,
    position: O::Embedding,
    token_type: O::Embedding,
    transformation: Option<O::Linear>,
    trigram_input: bool,
    norm: O::Norm,
}

impl<O: Ops> Embeddings<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let (narrow, wide) = (settings.embedding_size, settings.hidden_size);
        let seen = if settings.trigram_input { 3 * narrow } else { narrow };
        let transforms = settings.trigram_input || narrow != wide;
        let transformation = || scope.linear("embedding_transformation", [wide, seen]);
        let table = |name, rows| scope.embedding(name, [rows, wide]);
        Ok(Self {
            word: scope.embedding("word_embeddings", [settings.vocab_size, narrow])?,
            position: table("position_embeddings", settings.max_position_embeddings)?,
            token_type: table("token_type_embeddings", settings.type_vocab_size)?,
            transformation: transforms.then(transformation).transpose()?,
            trigram_input: settings.trigram_input,
            norm: scope.norm("LayerNorm", wide, settings.plain_norm)?,
        })
    }

    fn forward(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let mut words = ops.embed(&self.word, tokens.ids);
        if self.trigram_input {
            words = ops.neighbours(&words, tokens.offsets, &[1, 0, -1]);
        }
        if let Some(layer) = &self.transformation {
            words = ops.linear(&words, layer, Activation::Identity);
        }
        let placed = ops.embed_add(words, &self.position, &Positions::From(0).of(tokens));
        let typed = ops.embed_add(placed, &self.token_type, tokens.type_ids);
        ops.norm(&typed, &self.norm)
    }
}

/// A `dense` layer and the `LayerNorm` behind it.
struct Normed<O: Ops> {
    dense: O::Linear,
    norm: O::Norm,
}

impl<O: Ops> Normed<O> {
    fn load(scope: &Scope<O>, shape: [usize; 2], kind: NormKind) -> Result<Self, ModelError> {
        let norm = scope.norm("LayerNorm", shape[0], kind)?;
        Ok(Self { dense: scope.linear("dense", shape)?, norm })
    }

    /// `norm(dense x)`.
    fn forward(&self, ops: &O, x: &O::Tensor) -> O::Tensor {
        ops.norm(&ops.linear(x, &self.dense, Activation::Identity), &self.norm)
    }

    /// `norm(dense x + residual)`.
    fn forward_onto(&self, ops: &O, x: &O::Tensor, residual: &O::Tensor) -> O::Tensor {
        ops.norm(&ops.linear_add(x, &self.dense, Activation::Identity, residual), &self.norm)
    }
}

/// `MobileBertLayer`: into a bottleneck, attention and several feed-forward blocks there, and out of it.
struct Layer<O: Ops> {
    bottleneck: Option<Normed<O>>,
    shared_bottleneck: Option<Normed<O>>,
    inputs: Inputs,
    projections: Projections<O>,
    attention_output: Normed<O>,
    attention: AttentionSpec,
    feed_forwards: Vec<FeedForward<O>>,
    output_bottleneck: Option<Normed<O>>,
}

impl<O: Ops> Layer<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let (outer, width, norm) = (settings.hidden_size, settings.true_hidden_size, settings.norm);
        let shape = settings.feed_forward(norm);
        let has_bottleneck = settings.inputs != Inputs::Whole;
        let normed = |path, shape| Normed::load(&scope.at(path), shape, norm);
        let into = |path| normed(path, [width, outer]);
        let out = || normed("output.bottleneck", [outer, width]);
        let shares = settings.inputs == Inputs::SharedByQueryAndKey;
        let projections = match shares {
            true => Projections::load_query_key(scope, PROJECTIONS, width, outer)?,
            false => Projections::load_together(scope, PROJECTIONS, width)?,
        };
        let inner = (0..settings.num_feedforward_networks - 1)
            .map(|k| FeedForward::load(&scope.at(&format!("ffn.{k}")), FEED_FORWARD, &shape));
        let last = settings.feed_forward(settings.plain_norm);
        let last = std::iter::once_with(|| FeedForward::load(scope, FEED_FORWARD, &last));
        Ok(Self {
            bottleneck: has_bottleneck.then(|| into("bottleneck.input")).transpose()?,
            shared_bottleneck: shares.then(|| into("bottleneck.attention")).transpose()?,
            inputs: settings.inputs,
            projections,
            attention_output: normed("attention.output", [width, width])?,
            attention: shape.attention,
            feed_forwards: inner.chain(last).collect::<Result<_, _>>()?,
            output_bottleneck: has_bottleneck.then(out).transpose()?,
        })
    }

    fn forward(&self, ops: &O, x: O::Tensor, offsets: &[usize]) -> O::Tensor {
        let narrow = self.bottleneck.as_ref().map(|layer| layer.forward(ops, &x));
        let shared = self.shared_bottleneck.as_ref().map(|layer| layer.forward(ops, &x));
        let residual = narrow.as_ref().unwrap_or(&x);
        let (query_and_key, value) = match self.inputs {
            Inputs::Whole | Inputs::Unshared => (&x, &x),
            Inputs::Bottleneck => (residual, residual),
            Inputs::SharedByQueryAndKey => (shared.as_ref().unwrap_or(&x), &x),
        };
        let projected = self.projections.forward(ops, [query_and_key, value]);
        let attended = ops.attention(projected.each_ref(), offsets, &self.attention, None);
        drop(projected);
        let attended = self.attention_output.forward_onto(ops, &attended, residual);
        let blocks = self.feed_forwards.iter();
        let inner = blocks.fold(attended, |x, block| block.forward(ops, &x));
        match &self.output_bottleneck {
            Some(layer) => layer.forward_onto(ops, &inner, &x),
            None => inner,
        }
    }
}

/// `MobileBertPooler`, which may do nothing, and the classifier.
struct Head<O: Ops> {
    pooler: Option<O::Linear>,
    classifier: O::Linear,
}

impl<O: Ops> Head<O> {
    fn load(settings: &Settings, labels: usize, scope: &Scope<O>) -> Result<Self, ModelError> {
        let width = settings.hidden_size;
        let pooler = || scope.linear("pooler.dense", [width, width]);
        Ok(Self {
            pooler: settings.classifier_activation.then(pooler).transpose()?,
            classifier: scope.linear("classifier", [labels, width])?,
        })
    }

    fn forward(&self, ops: &O, first: O::Tensor) -> O::Tensor {
        let pooled = match &self.pooler {
            Some(pooler) => ops.linear(&first, pooler, Activation::Tanh),
            None => first,
        };
        ops.linear(&pooled, &self.classifier, Activation::Identity)
    }
}
