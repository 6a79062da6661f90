//! BART (Lewis et al. 2020), as transformers' `BartModel` and `BartForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Layout, Module, Rule};
use serde_json::{Value, json};

use super::Description;
use crate::blocks::{Attention, FeedForward, Head, Layer, LayerShape, Projections};
use crate::{
    Activation, AttentionSpec, Config, Encoder, Mask, ModelError, NormKind, Ops, Positions, Scope,
    Tokens,
};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("shared"),
        Module::embedding("encoder.embed_positions"),
        Module::norm("encoder.layernorm_embedding").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.q_proj").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.k_proj").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.v_proj").with_bias(),
        Module::linear("encoder.layers.{i}.self_attn.out_proj").with_bias(),
        Module::norm("encoder.layers.{i}.self_attn_layer_norm").with_bias(),
        Module::linear("encoder.layers.{i}.fc1").with_bias(),
        Module::linear("encoder.layers.{i}.fc2").with_bias(),
        Module::norm("encoder.layers.{i}.final_layer_norm").with_bias(),
        Module::embedding("decoder.embed_positions"),
        Module::norm("decoder.layernorm_embedding").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.q_proj").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.k_proj").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.v_proj").with_bias(),
        Module::linear("decoder.layers.{j}.self_attn.out_proj").with_bias(),
        Module::norm("decoder.layers.{j}.self_attn_layer_norm").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.q_proj").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.k_proj").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.v_proj").with_bias(),
        Module::linear("decoder.layers.{j}.encoder_attn.out_proj").with_bias(),
        Module::norm("decoder.layers.{j}.encoder_attn_layer_norm").with_bias(),
        Module::linear("decoder.layers.{j}.fc1").with_bias(),
        Module::linear("decoder.layers.{j}.fc2").with_bias(),
        Module::norm("decoder.layers.{j}.final_layer_norm").with_bias(),
    ]],
    heads: &[
        Module::head("classification_head.dense"),
        Module::head("classification_head.out_proj"),
    ],
    counts: &[
        Count { hole: "i", keys: &["encoder_layers", "num_hidden_layers"], default: 12, less: 0 },
        Count { hole: "j", keys: &["decoder_layers"], default: 12, less: 0 },
    ],
    rules: &[
        // Files that hold the one table under the encoder's name only.
        Rule::Copy { from: "model.encoder.embed_tokens.weight", to: "model.shared.weight" },
        Rule::Copy { from: "encoder.embed_tokens.weight", to: "shared.weight" },
        Rule::DropCopy { copy: "model.encoder.embed_tokens.weight", of: "model.shared.weight" },
        Rule::DropCopy { copy: "model.decoder.embed_tokens.weight", of: "model.shared.weight" },
        Rule::DropCopy { copy: "encoder.embed_tokens.weight", of: "shared.weight" },
        Rule::DropCopy { copy: "decoder.embed_tokens.weight", of: "shared.weight" },
        Rule::Drop("lm_head.{*}", "a head that prediction does not use"),
        Rule::Drop("qa_outputs.{*}", "a head that prediction does not use"),
        Rule::Drop("final_logits_bias", "a head that prediction does not use"),
    ],
    ..Layout::encoder("BartModel", "model.")
};

/// The names of the modules of `BartEncoderLayer` and `BartDecoderLayer`.
const SELF_ATTENTION: [&str; 5] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.out_proj",
    "self_attn_layer_norm",
];
const CROSS_PROJECTIONS: [&str; 3] =
    ["encoder_attn.q_proj", "encoder_attn.k_proj", "encoder_attn.v_proj"];
const CROSS_OUTPUT: [&str; 2] = ["encoder_attn.out_proj", "encoder_attn_layer_norm"];
const FEED_FORWARD: [&str; 3] = ["fc1", "fc2", "final_layer_norm"];

/// The norm that all modules have: PyTorch's default.
const NORM: NormKind = NormKind::LayerNorm(1e-5);

/// Positions begin behind two rows of the table that are never used.
const OFFSET: u32 = 2;

/// The settings of `BartConfig` that change the computation, with its defaults.
struct Settings {
    vocab_size: usize,
    max_position_embeddings: usize,
    width: usize,
    encoder_layers: usize,
    encoder: LayerShape,
    decoder_layers: usize,
    decoder: LayerShape,
    embed_scale: Option<f32>,
    decoder_start_token_id: u32,
    eos_token_id: u32,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        refuse_older_settings(config)?;
        let key = config.present(&["d_model", "hidden_size"])?;
        let width = config.size(key, 1024, 1 << 16)?;
        let activation = config.activation("activation_function", "gelu")?;
        let shape = |heads, inner| -> Result<LayerShape, ModelError> {
            let heads = config.heads(heads, 16, (key, width))?;
            Ok(LayerShape {
                width,
                inner: config.size(inner, 4096, 1 << 18)?,
                attention: AttentionSpec::new(width, heads),
                norm: NORM,
                activation,
            })
        };
        let vocab_size = config.size("vocab_size", 50265, 1 << 24)?;
        let scales = config.flag("scale_embedding", false)?;
        let heads = config.present(&["encoder_attention_heads", "num_attention_heads"])?;
        let layers = config.present(&["encoder_layers", "num_hidden_layers"])?;
        Ok(Self {
            vocab_size,
            max_position_embeddings: config.size("max_position_embeddings", 1024, 1 << 24)?,
            width,
            encoder_layers: config.size(layers, 12, 1 << 12)?,
            encoder: shape(heads, "encoder_ffn_dim")?,
            decoder_layers: config.size("decoder_layers", 12, 1 << 12)?,
            decoder: shape("decoder_attention_heads", "decoder_ffn_dim")?,
            embed_scale: scales.then(|| (width as f32).sqrt()),
            decoder_start_token_id: config.token("decoder_start_token_id", 2, vocab_size)?,
            eos_token_id: config.token("eos_token_id", 2, vocab_size)?,
        })
    }
}

/// Refuses what transformers computed otherwise before version 4 and passes over today.
fn refuse_older_settings(config: Config) -> Result<(), ModelError> {
    config.refuse_unless("is_decoder", &Value::Bool(false))?;
    config.refuse_unless("is_encoder_decoder", &Value::Bool(true))?;
    config.refuse_unless("normalize_embedding", &Value::Bool(true))?;
    config.refuse_unless("extra_pos_embeddings", &json!(OFFSET))?;
    for key in [
        "normalize_before",
        "add_final_layer_norm",
        "static_position_embeddings",
        "do_blenderbot_90_layernorm",
    ] {
        config.refuse_unless(key, &Value::Bool(false))?;
    }
    Ok(())
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    let settings = Settings::read(config)?;
    Ok(Description {
        max_tokens: settings.max_position_embeddings,
        needs_token: Some(settings.eos_token_id),
        default_labels: 3,
        ..Description::new(&LAYOUT, settings.vocab_size)
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<Bart<O>, ModelError> {
    let settings = Settings::read(config)?;
    let width = settings.width;
    let encoder_layer = |i: usize| {
        let scope = scope.at(&format!("encoder.layers.{i}"));
        Layer::load(&scope, SELF_ATTENTION, FEED_FORWARD, &settings.encoder)
    };
    let decoder_layer = |i: usize| {
        DecoderLayer::load(&scope.at(&format!("decoder.layers.{i}")), &settings.decoder)
    };
    let names = ["classification_head.dense", "classification_head.out_proj"];
    let head = |labels| Head::load(scope, names, [width, labels], Activation::Tanh);
    Ok(Bart {
        shared: scope.embedding("shared", [settings.vocab_size, width])?,
        embed_scale: settings.embed_scale,
        encoder: Stack::load(&scope.at("encoder"), &settings)?,
        encoder_layers: (0..settings.encoder_layers).map(encoder_layer).collect::<Result<_, _>>()?,
        decoder: Stack::load(&scope.at("decoder"), &settings)?,
        decoder_layers: (0..settings.decoder_layers).map(decoder_layer).collect::<Result<_, _>>()?,
        decoder_start_token_id: settings.decoder_start_token_id,
        eos_token_id: settings.eos_token_id,
        head: labels.map(head).transpose()?,
    })
}

/// `BartModel`, with the head of `BartForSequenceClassification` if there is one: the decoder's vector
/// of the row's last `</s>` through two layers.
pub(super) struct Bart<O: Ops> {
    /// The table of both sides.
    shared: O::Embedding,
    embed_scale: Option<f32>,
    encoder: Stack<O>,
    encoder_layers: Vec<Layer<O>>,
    decoder: Stack<O>,
    decoder_layers: Vec<DecoderLayer<O>>,
    decoder_start_token_id: u32,
    eos_token_id: u32,
    head: Option<Head<O>>,
}

impl<O: Ops> Bart<O> {
    /// The vectors that a side's layers begin with.
    fn embed(&self, ops: &O, side: &Stack<O>, ids: &[u32], positions: &[u32]) -> O::Tensor {
        let words = ops.embed(&self.shared, ids);
        let words = match self.embed_scale {
            Some(factor) => ops.scale(words, factor),
            None => words,
        };
        let placed = ops.embed_add(words, &side.embed_positions, positions);
        ops.norm(&placed, &side.layernorm_embedding)
    }
}

impl<O: Ops> Encoder<O> for Bart<O> {
    /// The decoder's last hidden state, its input being the row one place later.
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let positions = Positions::From(OFFSET).of(tokens);
        let read = self.embed(ops, &self.encoder, tokens.ids, &positions);
        let encode = |x, layer: &Layer<O>| layer.forward(ops, x, tokens.offsets, None);
        let encoded = self.encoder_layers.iter().fold(read, encode);
        let shifted = tokens.shifted_right(self.decoder_start_token_id);
        let written = self.embed(ops, &self.decoder, &shifted, &positions);
        let decode = |x, layer: &DecoderLayer<O>| layer.forward(ops, x, &encoded, tokens.offsets);
        self.decoder_layers.iter().fold(written, decode)
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        let head = self.head.as_ref()?;
        Some(head.forward(ops, &ops.select(hidden, &tokens.last_of(self.eos_token_id))))
    }
}

/// What `BartEncoder` and `BartDecoder` have beside their layers.
struct Stack<O: Ops> {
    embed_positions: O::Embedding,
    layernorm_embedding: O::Norm,
}

impl<O: Ops> Stack<O> {
    fn load(scope: &Scope<O>, settings: &Settings) -> Result<Self, ModelError> {
        let positions = settings.max_position_embeddings + OFFSET as usize;
        Ok(Self {
            embed_positions: scope.embedding("embed_positions", [positions, settings.width])?,
            layernorm_embedding: scope.norm("layernorm_embedding", settings.width, NORM)?,
        })
    }
}

/// `BartDecoderLayer`: attention to what was written so far, then to what the encoder has read.
struct DecoderLayer<O: Ops> {
    self_attention: Attention<O>,
    cross_attention: Attention<O>,
    feed_forward: FeedForward<O>,
}

impl<O: Ops> DecoderLayer<O> {
    fn load(scope: &Scope<O>, shape: &LayerShape) -> Result<Self, ModelError> {
        let causal = LayerShape { attention: shape.attention.masked(Mask::Causal), ..*shape };
        let projections = Projections::load_key_value(scope, CROSS_PROJECTIONS, shape.width)?;
        Ok(Self {
            self_attention: Attention::load(scope, SELF_ATTENTION, &causal)?,
            cross_attention: Attention::behind(projections, scope, CROSS_OUTPUT, shape)?,
            feed_forward: FeedForward::load(scope, FEED_FORWARD, shape)?,
        })
    }

    fn forward(&self, ops: &O, x: O::Tensor, read: &O::Tensor, offsets: &[usize]) -> O::Tensor {
        let x = self.self_attention.forward(ops, &x, offsets, None);
        let x = self.cross_attention.forward_to(ops, &x, read, offsets);
        self.feed_forward.forward(ops, &x)
    }
}
