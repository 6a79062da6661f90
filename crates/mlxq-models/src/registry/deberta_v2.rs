//! DeBERTa v2 and v3 (He et al. 2021), as transformers' `DebertaV2Model` and
//! `DebertaV2ForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};
use serde_json::Value;

use self::relative::{PositionLayers, RelativePositions, RelativeSettings, Terms};
use super::Description;
use crate::blocks::{Attention, FeedForward, Head, Layer, LayerShape, Projections};
use crate::config::wrong;
use crate::{
    Activation, AttentionSpec, Config, Encoder, Mask, ModelError, NormKind, Ops, Pooling, Positions,
    Scope, Tokens,
};

mod relative;

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("embeddings.word_embeddings"),
        Module::embedding("embeddings.position_embeddings").optional(),
        Module::embedding("embeddings.token_type_embeddings").optional(),
        Module::linear("embeddings.embed_proj").optional(),
        Module::norm("embeddings.LayerNorm").with_bias(),
        Module::embedding("encoder.rel_embeddings").optional(),
        Module::norm("encoder.LayerNorm").with_bias().optional(),
        // Kept in the axis order of PyTorch, which no client reads otherwise.
        Module::raw("encoder.conv.conv").maybe_bias().optional(),
        Module::norm("encoder.conv.LayerNorm").with_bias().optional(),
        Module::linear("encoder.layer.{i}.attention.self.query_proj").with_bias(),
        Module::linear("encoder.layer.{i}.attention.self.key_proj").with_bias(),
        Module::linear("encoder.layer.{i}.attention.self.value_proj").with_bias(),
        Module::linear("encoder.layer.{i}.attention.self.pos_key_proj").optional(),
        Module::linear("encoder.layer.{i}.attention.self.pos_query_proj").optional(),
        Module::linear("encoder.layer.{i}.attention.output.dense").with_bias(),
        Module::norm("encoder.layer.{i}.attention.output.LayerNorm").with_bias(),
        Module::linear("encoder.layer.{i}.intermediate.dense").with_bias(),
        Module::linear("encoder.layer.{i}.output.dense").with_bias(),
        Module::norm("encoder.layer.{i}.output.LayerNorm").with_bias(),
    ]],
    heads: &[Module::head("pooler.dense"), Module::head("classifier")],
    rules: &[
        Rule::Drop("{*}embeddings.position_ids", "a buffer, not a weight"),
        Rule::Drop("cls.{*}", "a head that prediction does not use"),
        Rule::Drop("lm_predictions.{*}", "a head that prediction does not use"),
        Rule::Drop("mask_predictions.{*}", "a head that prediction does not use"),
        Rule::Drop("qa_outputs.{*}", "a head that prediction does not use"),
        Rule::RenameOld(&[
            ("{*}LayerNorm.gamma", "{*}LayerNorm.weight"),
            ("{*}LayerNorm.beta", "{*}LayerNorm.bias"),
        ]),
    ],
    ..Layout::encoder("DebertaV2Model", "deberta.")
};

/// The names of `DebertaV2Layer`'s modules.
const PROJECTIONS: [&str; 3] =
    ["attention.self.query_proj", "attention.self.key_proj", "attention.self.value_proj"];
const ATTENTION_OUTPUT: [&str; 2] = ["attention.output.dense", "attention.output.LayerNorm"];
const FEED_FORWARD: [&str; 3] = ["intermediate.dense", "output.dense", "output.LayerNorm"];

/// The settings of `DebertaV2Config` that change the computation, with its defaults.
struct Settings {
    vocab_size: usize,
    embedding_size: usize,
    layer: LayerShape,
    num_hidden_layers: usize,
    max_position_embeddings: usize,
    position_biased_input: bool,
    type_vocab_size: usize,
    relative: Option<RelativeSettings>,
    conv: Option<ConvSettings>,
    pooler_hidden_act: Activation,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_other_than_encoder()?;
        let width = config.size("hidden_size", 1536, 1 << 16)?;
        let heads = config.heads("num_attention_heads", 24, ("hidden_size", width))?;
        config.refuse_unless("attention_head_size", &Value::from(width / heads))?;
        config.refuse_unless("pooler_hidden_size", &Value::from(width))?;
        let terms = Terms::read(config)?;
        let scale = 1.0 / ((width / heads * terms.count()) as f32).sqrt();
        let positions = config.size("max_position_embeddings", 512, 1 << 24)?;
        Ok(Self {
            vocab_size: config.size("vocab_size", 128_100, 1 << 24)?,
            embedding_size: config.size("embedding_size", width, 1 << 16)?,
            layer: LayerShape {
                width,
                inner: config.size("intermediate_size", 6144, 1 << 18)?,
                attention: AttentionSpec { heads, scale, mask: Mask::Full },
                norm: NormKind::LayerNorm(config.positive("layer_norm_eps", 1e-7)?),
                activation: config.activation("hidden_act", "gelu")?,
            },
            num_hidden_layers: config.size("num_hidden_layers", 24, 1 << 12)?,
            max_position_embeddings: positions,
            position_biased_input: config.flag("position_biased_input", true)?,
            type_vocab_size: config.count("type_vocab_size", 0, 1 << 16)?,
            relative: RelativeSettings::read(config, terms, positions)?,
            conv: ConvSettings::read(config, width)?,
            pooler_hidden_act: config.activation("pooler_hidden_act", "gelu")?,
        })
    }
}

/// The convolution beside the first layer.
#[derive(Debug, Clone, Copy)]
struct ConvSettings {
    kernel_size: usize,
    groups: usize,
    activation: Activation,
}

impl ConvSettings {
    fn read(config: Config, width: usize) -> Result<Option<Self>, ModelError> {
        let kernel_size = config.count("conv_kernel_size", 0, 1 << 10)?;
        if kernel_size == 0 {
            return Ok(None);
        }
        if kernel_size.is_multiple_of(2) {
            return Err(wrong("conv_kernel_size", &kernel_size.into(), "an odd number"));
        }
        let groups = config.size("conv_groups", 1, 1 << 12)?;
        if !width.is_multiple_of(groups) {
            let expected = format!("a divisor of `hidden_size` = {width}");
            return Err(wrong("conv_groups", &groups.into(), &expected));
        }
        Ok(Some(Self { kernel_size, groups, activation: config.activation("conv_act", "tanh")? }))
    }
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    let settings = Settings::read(config)?;
    Ok(Description {
        max_tokens: settings.max_position_embeddings,
        token_types: Some(settings.type_vocab_size).filter(|types| *types > 0),
        ..Description::new(&LAYOUT, settings.vocab_size)
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<DebertaV2<O>, ModelError> {
    let settings = Settings::read(config)?;
    let (encoder, width) = (scope.at("encoder"), settings.layer.width);
    let layer = |i: usize| DisentangledLayer::load(&settings, &encoder.at(&format!("layer.{i}")));
    let head = |labels| {
        let names = ["pooler.dense", "classifier"];
        Head::load(scope, names, [width, labels], settings.pooler_hidden_act)
    };
    let conv = |conv: &ConvSettings| Conv::load(conv, &settings.layer, &encoder.at("conv"));
    let relative = settings.relative.as_ref();
    Ok(DebertaV2 {
        embeddings: Embeddings::load(&settings, &scope.at("embeddings"))?,
        positions: relative.map(|r| RelativePositions::load(*r, &settings.layer, &encoder)).transpose()?,
        layers: (0..settings.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
        conv: settings.conv.as_ref().map(conv).transpose()?,
        head: labels.map(head).transpose()?,
    })
}

/// `DebertaV2Model`, with the head of `DebertaV2ForSequenceClassification` if there is one: the first
/// token's vector through two layers.
pub(super) struct DebertaV2<O: Ops> {
    embeddings: Embeddings<O>,
    positions: Option<RelativePositions<O>>,
    layers: Vec<DisentangledLayer<O>>,
    conv: Option<Conv<O>>,
    head: Option<Head<O>>,
}

impl<O: Ops> Encoder<O> for DebertaV2<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let projections = self.layers.iter().map(DisentangledLayer::projections);
        let positions =
            self.positions.as_ref().map(|p| p.projected(ops, projections, tokens.longest()));
        let embedded = self.embeddings.forward(ops, tokens);
        let beside = self.conv.as_ref().map(|conv| conv.convolve(ops, &embedded, tokens.offsets));
        let mut x = embedded;
        for (i, layer) in self.layers.iter().enumerate() {
            let relative = positions.as_ref().and_then(|positions| positions.relative(i));
            x = layer.layer.forward(ops, x, tokens.offsets, relative.as_ref());
            if let (0, Some(conv), Some(beside)) = (i, &self.conv, &beside) {
                x = ops.norm(&ops.add(x, beside), &conv.norm);
            }
        }
        x
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        let head = self.head.as_ref()?;
        Some(head.forward(ops, &ops.pool(hidden, tokens.offsets, &[Pooling::Cls])))
    }
}

/// `DebertaV2Embeddings`.
struct Embeddings<O: Ops> {
    word: O::Embedding,
    position: Option<O::Embedding>,
    token_type: Option<O::Embedding>,
    projection: Option<O::Linear>,
    norm: O::Norm,
}

impl<O: Ops> Embeddings<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let (narrow, width) = (settings.embedding_size, settings.layer.width);
        let table = |name, rows| scope.embedding(name, [rows, narrow]);
        let position = || table("position_embeddings", settings.max_position_embeddings);
        let token_type = || table("token_type_embeddings", settings.type_vocab_size);
        let projection = || scope.linear_if("embed_proj", [width, narrow], false);
        Ok(Self {
            word: table("word_embeddings", settings.vocab_size)?,
            position: settings.position_biased_input.then(position).transpose()?,
            token_type: (settings.type_vocab_size > 0).then(token_type).transpose()?,
            projection: (narrow != width).then(projection).transpose()?,
            norm: scope.norm("LayerNorm", width, settings.layer.norm)?,
        })
    }

    fn forward(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let mut x = ops.embed(&self.word, tokens.ids);
        if let Some(table) = &self.position {
            x = ops.embed_add(x, table, &Positions::From(0).of(tokens));
        }
        if let Some(table) = &self.token_type {
            x = ops.embed_add(x, table, tokens.type_ids);
        }
        if let Some(layer) = &self.projection {
            x = ops.linear(&x, layer, Activation::Identity);
        }
        ops.norm(&x, &self.norm)
    }
}

/// `DebertaV2Layer`, whose `DisentangledSelfAttention` multiplies queries and keys with relative
/// positions too.
struct DisentangledLayer<O: Ops> {
    layer: Layer<O>,
    positions: PositionLayers<O>,
}

impl<O: Ops> DisentangledLayer<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let (shape, width) = (&settings.layer, settings.layer.width);
        // Positions have no values: where the layers of the content serve them, values stand apart.
        let projections = match settings.relative.is_some_and(|relative| relative.share_att_key) {
            true => Projections::load_query_key(scope, PROJECTIONS, width, width)?,
            false => Projections::load_together(scope, PROJECTIONS, width)?,
        };
        let attention = Attention::behind(projections, scope, ATTENTION_OUTPUT, shape)?;
        let feed_forward = FeedForward::load(scope, FEED_FORWARD, shape)?;
        Ok(Self {
            layer: Layer { attention, feed_forward },
            positions: PositionLayers::load(settings.relative, width, scope)?,
        })
    }

    /// What projects relative positions.
    fn projections(&self) -> (&PositionLayers<O>, &Projections<O>) {
        (&self.positions, &self.layer.attention.projections)
    }
}

/// `ConvLayer`: the embeddings through a convolution, added behind the first layer.
struct Conv<O: Ops> {
    conv: O::Linear,
    norm: O::Norm,
    settings: ConvSettings,
}

impl<O: Ops> Conv<O> {
    fn load(
        settings: &ConvSettings,
        shape: &LayerShape,
        scope: &Scope<O>,
    ) -> Result<Self, ModelError> {
        let (width, groups) = (shape.width, settings.groups);
        let shape_of = [width, width / groups, settings.kernel_size];
        Ok(Self {
            conv: scope.convolution("conv", shape_of, groups)?,
            norm: scope.norm("LayerNorm", width, shape.norm)?,
            settings: *settings,
        })
    }

    fn convolve(&self, ops: &O, x: &O::Tensor, offsets: &[usize]) -> O::Tensor {
        let reach = (self.settings.kernel_size / 2) as isize;
        let shifts: Vec<isize> = (-reach..=reach).collect();
        let seen = ops.neighbours(x, offsets, &shifts);
        ops.linear(&seen, &self.conv, self.settings.activation)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(config: &Value) -> Result<Option<RelativeSettings>, String> {
        let config = Config::new(config.as_object().expect("an object"));
        Settings::read(config).map(|settings| settings.relative).map_err(|error| error.to_string())
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (key, config) in [
            ("attention_head_size", json!({"attention_head_size": 32})),
            ("pooler_hidden_size", json!({"pooler_hidden_size": 32})),
            ("conv_kernel_size", json!({"conv_kernel_size": 4})),
            ("conv_groups", json!({"conv_kernel_size": 3, "conv_groups": 7})),
            (
                "max_relative_positions",
                json!({"relative_attention": true, "position_buckets": 16,
                    "max_relative_positions": 9}),
            ),
        ] {
            let error = settings(&config).expect_err("refused");
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }
}
