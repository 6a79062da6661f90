//! MPNet (Song et al. 2020), as transformers' `MPNetModel` and `MPNetForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module};
use serde_json::Value;

use super::{Description, bert, roberta};
use crate::blocks::{Head, Layer, LayerShape};
use crate::config::wrong;
use crate::{
    Activation, AttentionSpec, Buckets, Config, Encoder, ModelError, NormKind, Ops, Pooling,
    Positions, Relative, Scope, Tokens,
};

pub(super) const LAYOUT: Layout = Layout {
    base: &[&[
        Module::embedding("embeddings.word_embeddings"),
        Module::embedding("embeddings.position_embeddings"),
        Module::norm("embeddings.LayerNorm").with_bias(),
        Module::raw("encoder.relative_attention_bias"),
        Module::linear("encoder.layer.{i}.attention.attn.q").with_bias(),
        Module::linear("encoder.layer.{i}.attention.attn.k").with_bias(),
        Module::linear("encoder.layer.{i}.attention.attn.v").with_bias(),
        Module::linear("encoder.layer.{i}.attention.attn.o").with_bias(),
        Module::norm("encoder.layer.{i}.attention.LayerNorm").with_bias(),
        Module::linear("encoder.layer.{i}.intermediate.dense").with_bias(),
        Module::linear("encoder.layer.{i}.output.dense").with_bias(),
        Module::norm("encoder.layer.{i}.output.LayerNorm").with_bias(),
        Module::head("pooler.dense").optional(),
    ]],
    heads: roberta::HEADS,
    rules: bert::LAYOUT.rules,
    ..Layout::encoder("MPNetModel", "mpnet.")
};

/// The names of `MPNetLayer`'s modules.
const ATTENTION: [&str; 5] = [
    "attention.attn.q",
    "attention.attn.k",
    "attention.attn.v",
    "attention.attn.o",
    "attention.LayerNorm",
];
const FEED_FORWARD: [&str; 3] = ["intermediate.dense", "output.dense", "output.LayerNorm"];

/// The padding id that positions begin behind, whatever the configuration says (`MPNetEmbeddings`).
const PADDING: u32 = 1;

/// Buckets of relative positions: transformers computes with 32 of them, whatever
/// `relative_attention_num_buckets` says, which is the size of the table alone.
const BUCKETS: u32 = 32;

/// The bucket of the distance from a key to a query, for distances to 128 (`relative_position_bucket`
/// of `MPNetEncoder`, after Raffel et al. 2020): half of the buckets for keys before the query, half
/// for those behind; in each half 8 of one distance and 8 that grow by the root of 2.
///
/// transformers cuts `8 + 8 ln(distance / 8) / ln 16` to an integer; `2 log2(distance / 8)` is the
/// same, and exact in integers.
fn bucket(distance: i64) -> u32 {
    let (half, small) = (BUCKETS / 2, BUCKETS / 4);
    let behind = if distance < 0 { half } else { 0 };
    let far = u32::try_from(distance.unsigned_abs()).unwrap_or(u32::MAX);
    if far < small {
        return behind + far;
    }
    let steps = (u64::from(far).pow(2) / u64::from(small).pow(2)).ilog2();
    behind + (small + steps).min(half - 1)
}

/// The settings of `MPNetConfig` that change the computation, with its defaults.
struct Settings {
    vocab_size: usize,
    layer: LayerShape,
    num_hidden_layers: usize,
    max_position_embeddings: usize,
    relative_attention_num_buckets: usize,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_other_than_encoder()?;
        let hidden_size = config.size("hidden_size", 768, 1 << 16)?;
        let heads = config.heads("num_attention_heads", 12, ("hidden_size", hidden_size))?;
        let at_least = |key, default, least: usize, limit| {
            let size = config.size(key, default, limit)?;
            let expected = || format!("an integer from {least} to {limit}");
            if size < least { Err(wrong(key, &Value::from(size), &expected())) } else { Ok(size) }
        };
        Ok(Self {
            vocab_size: config.size("vocab_size", 30527, 1 << 24)?,
            layer: LayerShape {
                width: hidden_size,
                inner: config.size("intermediate_size", 3072, 1 << 18)?,
                attention: AttentionSpec::new(hidden_size, heads),
                norm: NormKind::LayerNorm(config.positive("layer_norm_eps", 1e-12)?),
                activation: config.activation("hidden_act", "gelu")?,
            },
            num_hidden_layers: config.size("num_hidden_layers", 12, 1 << 12)?,
            max_position_embeddings: at_least(
                "max_position_embeddings",
                512,
                PADDING as usize + 2,
                1 << 24,
            )?,
            relative_attention_num_buckets: at_least(
                "relative_attention_num_buckets",
                BUCKETS as usize,
                BUCKETS as usize,
                1 << 16,
            )?,
        })
    }
}

/// See [`super::describe`].
pub(super) fn describe(config: Config) -> Result<Description, ModelError> {
    let settings = Settings::read(config)?;
    Ok(Description {
        max_tokens: settings.max_position_embeddings - PADDING as usize - 1,
        ..Description::new(&LAYOUT, settings.vocab_size)
    })
}

/// See [`super::build`].
pub(super) fn build<O: Ops>(
    config: Config,
    labels: Option<usize>,
    scope: &Scope<O>,
) -> Result<MpNet<O>, ModelError> {
    let settings = Settings::read(config)?;
    let LayerShape { width, attention, norm, .. } = settings.layer;
    let embeddings = scope.at("embeddings");
    let table = |name, rows| embeddings.embedding(name, [rows, width]);
    let bias = [settings.relative_attention_num_buckets, attention.heads];
    let layer = |i: usize| {
        let scope = scope.at(&format!("encoder.layer.{i}"));
        Layer::load(&scope, ATTENTION, FEED_FORWARD, &settings.layer)
    };
    let names = ["classifier.dense", "classifier.out_proj"];
    let head = |labels| Head::load(scope, names, [width, labels], Activation::Tanh);
    Ok(MpNet {
        word: table("word_embeddings", settings.vocab_size)?,
        position: table("position_embeddings", settings.max_position_embeddings)?,
        norm: embeddings.norm("LayerNorm", width, norm)?,
        relative_attention_bias: scope.embedding("encoder.relative_attention_bias", bias)?,
        layers: (0..settings.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
        head: labels.map(head).transpose()?,
    })
}

/// `MPNetModel`, with the head of `MPNetForSequenceClassification` if there is one: the first token's
/// vector through two layers.
pub(super) struct MpNet<O: Ops> {
    word: O::Embedding,
    position: O::Embedding,
    norm: O::Norm,
    /// One number per bucket and head, for all layers.
    relative_attention_bias: O::Embedding,
    layers: Vec<Layer<O>>,
    head: Option<Head<O>>,
}

impl<O: Ops> Encoder<O> for MpNet<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let words = ops.embed(&self.word, tokens.ids);
        let positions = Positions::AfterPadding(PADDING).of(tokens);
        let placed = ops.embed_add(words, &self.position, &positions);
        let embedded = ops.norm(&placed, &self.norm);
        let (buckets, used) = Buckets::new(tokens.longest(), bucket).compact();
        let bias = ops.embed(&self.relative_attention_bias, &used);
        let relative = Relative { buckets: &buckets, bias: Some(&bias), key: None, query: None };
        let forward = |x, layer: &Layer<O>| layer.forward(ops, x, tokens.offsets, Some(&relative));
        self.layers.iter().fold(embedded, forward)
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        let head = self.head.as_ref()?;
        Some(head.forward(ops, &ops.pool(hidden, tokens.offsets, &[Pooling::Cls])))
    }
}

#[cfg(test)]
mod tests {
    use super::bucket;

    /// Values of `MPNetEncoder.relative_position_bucket` (transformers 5.23), whose argument is the
    /// negative of ours; the distances at which the bucket changes, on both sides.
    #[test]
    fn buckets_are_those_of_transformers() {
        let table = [
            (0, 0), (1, 1), (7, 7), (8, 8), (11, 8), (12, 9), (15, 9), (16, 10), (22, 10), (23, 11),
            (31, 11), (32, 12), (45, 12), (46, 13), (63, 13), (64, 14), (90, 14), (91, 15),
            (128, 15), (511, 15), (-1, 17), (-7, 23), (-8, 24), (-11, 24), (-12, 25), (-16, 26),
            (-22, 26), (-23, 27), (-32, 28), (-45, 28), (-46, 29), (-64, 30), (-90, 30), (-91, 31),
            (-511, 31),
        ];
        for (distance, want) in table {
            assert_eq!(bucket(distance), want, "{distance}");
        }
    }
}
