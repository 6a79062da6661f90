//! BERT (Devlin et al. 2018), as transformers' `BertModel` and `BertForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};
use serde_json::json;

use super::Description;
use crate::{
    Activation, AttentionSpec, Config, Encoder, ModelError, Ops, Pooling, Scope, Tokens,
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

/// The settings of `BertConfig` that change the computation, with its defaults.
struct Settings {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    hidden_act: Activation,
    layer_norm_eps: f32,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_unless("position_embedding_type", &json!("absolute"))?;
        config.refuse_unless("is_decoder", &json!(false))?;
        config.refuse_unless("add_cross_attention", &json!(false))?;
        let name = config.text("hidden_act", "gelu")?;
        let unsupported = || ModelError::Unsupported {
            key: "hidden_act".to_owned(),
            value: format!("`{name}`"),
        };
        let settings = Self {
            vocab_size: config.size("vocab_size", 30522, 1 << 24)?,
            hidden_size: config.size("hidden_size", 768, 1 << 16)?,
            num_hidden_layers: config.size("num_hidden_layers", 12, 1 << 12)?,
            num_attention_heads: config.size("num_attention_heads", 12, 1 << 12)?,
            intermediate_size: config.size("intermediate_size", 3072, 1 << 18)?,
            max_position_embeddings: config.size("max_position_embeddings", 512, 1 << 24)?,
            type_vocab_size: config.size("type_vocab_size", 2, 1 << 16)?,
            hidden_act: Activation::from_name(name).ok_or_else(unsupported)?,
            layer_norm_eps: config.positive("layer_norm_eps", 1e-12)?,
        };
        if !settings.hidden_size.is_multiple_of(settings.num_attention_heads) {
            return Err(ModelError::Setting {
                key: "num_attention_heads".to_owned(),
                found: settings.num_attention_heads.to_string(),
                expected: format!("a divisor of `hidden_size` = {}", settings.hidden_size),
            });
        }
        Ok(settings)
    }
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    let settings = Settings::read(config)?;
    Ok(Description {
        layout: &LAYOUT,
        max_tokens: settings.max_position_embeddings,
        vocabulary: settings.vocab_size,
        token_types: settings.type_vocab_size,
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<Bert<O>, ModelError> {
    let settings = Settings::read(config)?;
    let encoder = scope.at("encoder.layer");
    let layers = (0..settings.num_hidden_layers)
        .map(|i| Layer::load(&settings, &encoder.at(&i.to_string())));
    Ok(Bert {
        embeddings: Embeddings::load(&settings, &scope.at("embeddings"))?,
        layers: layers.collect::<Result<_, _>>()?,
        head: labels.map(|labels| Head::load(&settings, labels, scope)).transpose()?,
    })
}

/// `BertModel`, with the head of `BertForSequenceClassification` if there is one.
pub(super) struct Bert<O: Ops> {
    embeddings: Embeddings<O>,
    layers: Vec<Layer<O>>,
    head: Option<Head<O>>,
}

impl<O: Ops> Encoder<O> for Bert<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let embedded = self.embeddings.forward(ops, tokens);
        self.layers.iter().fold(embedded, |x, layer| layer.forward(ops, x, tokens.offsets))
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        self.head.as_ref().map(|head| head.forward(ops, hidden, tokens.offsets))
    }
}

/// `BertEmbeddings`: the sum of three tables, normalized.
struct Embeddings<O: Ops> {
    word: O::Embedding,
    position: O::Embedding,
    token_type: O::Embedding,
    norm: O::Norm,
}

impl<O: Ops> Embeddings<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let width = settings.hidden_size;
        let table = |name, rows| scope.embedding(name, [rows, width]);
        Ok(Self {
            word: table("word_embeddings", settings.vocab_size)?,
            position: table("position_embeddings", settings.max_position_embeddings)?,
            token_type: table("token_type_embeddings", settings.type_vocab_size)?,
            norm: scope.norm("LayerNorm", width, settings.layer_norm_eps)?,
        })
    }

    fn forward(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let words = ops.embed(&self.word, tokens.ids);
        let types = ops.embed(&self.token_type, tokens.type_ids);
        let positions = ops.embed(&self.position, &tokens.positions(0));
        let sum = ops.add(ops.add(words, &types), &positions);
        ops.layer_norm(sum, &self.norm)
    }
}

/// `BertLayer`: self-attention and a feed-forward block, each added to its input and normalized.
struct Layer<O: Ops> {
    query: O::Linear,
    key: O::Linear,
    value: O::Linear,
    attention_output: O::Linear,
    attention_norm: O::Norm,
    intermediate: O::Linear,
    output: O::Linear,
    output_norm: O::Norm,
    activation: Activation,
    attention: AttentionSpec,
}

impl<O: Ops> Layer<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let (hidden, inner) = (settings.hidden_size, settings.intermediate_size);
        let square = |name| scope.linear(name, [hidden, hidden]);
        let norm = |name| scope.norm(name, hidden, settings.layer_norm_eps);
        let head_size = hidden / settings.num_attention_heads;
        Ok(Self {
            query: square("attention.self.query")?,
            key: square("attention.self.key")?,
            value: square("attention.self.value")?,
            attention_output: square("attention.output.dense")?,
            attention_norm: norm("attention.output.LayerNorm")?,
            intermediate: scope.linear("intermediate.dense", [inner, hidden])?,
            output: scope.linear("output.dense", [hidden, inner])?,
            output_norm: norm("output.LayerNorm")?,
            activation: settings.hidden_act,
            attention: AttentionSpec {
                heads: settings.num_attention_heads,
                scale: 1.0 / (head_size as f32).sqrt(),
            },
        })
    }

    fn forward(&self, ops: &O, x: O::Tensor, offsets: &[usize]) -> O::Tensor {
        let project = |layer| ops.linear(&x, layer, Activation::Identity);
        let [query, key, value] = [&self.query, &self.key, &self.value].map(project);
        let attended = ops.attention([&query, &key, &value], offsets, &self.attention);
        let attended = ops.linear(&attended, &self.attention_output, Activation::Identity);
        let x = ops.layer_norm(ops.add(attended, &x), &self.attention_norm);
        let inner = ops.linear(&x, &self.intermediate, self.activation);
        let output = ops.linear(&inner, &self.output, Activation::Identity);
        ops.layer_norm(ops.add(output, &x), &self.output_norm)
    }
}

/// `BertPooler` and the classifier: the first token's vector through two layers.
struct Head<O: Ops> {
    pooler: O::Linear,
    classifier: O::Linear,
}

impl<O: Ops> Head<O> {
    fn load(settings: &Settings, labels: usize, scope: &Scope<O>) -> Result<Self, ModelError> {
        let width = settings.hidden_size;
        Ok(Self {
            pooler: scope.linear("pooler.dense", [width, width])?,
            classifier: scope.linear("classifier", [labels, width])?,
        })
    }

    fn forward(&self, ops: &O, hidden: &O::Tensor, offsets: &[usize]) -> O::Tensor {
        let first = ops.pool(hidden, offsets, &[Pooling::Cls]);
        let pooled = ops.linear(&first, &self.pooler, Activation::Tanh);
        ops.linear(&pooled, &self.classifier, Activation::Identity)
    }
}
