//! DeBERTa v2 and v3 (He et al. 2021), as transformers' `DebertaV2Model` and
//! `DebertaV2ForSequenceClassification`.

use mlxq_checkpoint::layout::{Layout, Module, Rule};
use serde_json::Value;

use super::Description;
use crate::blocks::{Head, Layer, LayerShape};
use crate::config::{unsupported, wrong};
use crate::{
    Activation, AttentionSpec, Buckets, Config, Encoder, Mask, ModelError, NormKind, Ops, Pooling,
    Positions, Relative, Scope, Tokens,
};

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
const ATTENTION: [&str; 5] = [
    "attention.self.query_proj",
    "attention.self.key_proj",
    "attention.self.value_proj",
    "attention.output.dense",
    "attention.output.LayerNorm",
];
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

/// The terms that `pos_att_type` adds to the products of queries and keys.
#[derive(Debug, Clone, Copy)]
struct Terms {
    content_to_position: bool,
    position_to_content: bool,
}

impl Terms {
    fn read(config: Config) -> Result<Self, ModelError> {
        const KEY: &str = "pos_att_type";
        let names: Vec<String> = match config.get(KEY) {
            None => Vec::new(),
            Some(Value::String(names)) => {
                names.to_lowercase().split('|').map(|name| name.trim().to_owned()).collect()
            }
            Some(Value::Array(names)) => {
                names.iter().map(|name| name.as_str().unwrap_or("?").to_owned()).collect()
            }
            Some(value) => return Err(wrong(KEY, value, "a list of `c2p` and `p2c`")),
        };
        let known = |name: &&String| ["c2p", "p2c", ""].contains(&name.as_str());
        if let Some(other) = names.iter().find(|name| !known(name)) {
            return Err(unsupported(KEY, &Value::from(other.as_str())));
        }
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Ok(Self { content_to_position: has("c2p"), position_to_content: has("p2c") })
    }

    /// Terms of a score, the product of query and key counted.
    fn count(self) -> usize {
        1 + usize::from(self.content_to_position) + usize::from(self.position_to_content)
    }
}

/// How relative positions enter attention.
#[derive(Debug, Clone, Copy)]
struct RelativeSettings {
    terms: Terms,
    share_att_key: bool,
    /// Buckets of each direction, if distances are put in buckets.
    position_buckets: Option<i64>,
    /// The distance from which on all are alike.
    max_relative_positions: i64,
    norm_rel_ebd: bool,
}

impl RelativeSettings {
    fn read(config: Config, terms: Terms, positions: usize) -> Result<Option<Self>, ModelError> {
        if !config.flag("relative_attention", false)? {
            return Ok(None);
        }
        let farthest = config.integer("max_relative_positions", -1)?;
        let farthest = if farthest < 1 { positions as i64 } else { farthest };
        let buckets = config.integer("position_buckets", -1)?;
        let norms = config.text("norm_rel_ebd", "none")?.to_lowercase();
        if buckets == 1 {
            return Err(wrong("position_buckets", &buckets.into(), "at least 2, or none"));
        }
        if buckets > 0 && farthest - 1 <= buckets / 2 && farthest < positions as i64 {
            let expected = format!("at least `position_buckets` / 2 + 2 = {}", buckets / 2 + 2);
            return Err(wrong("max_relative_positions", &farthest.into(), &expected));
        }
        Ok(Some(Self {
            terms,
            share_att_key: config.flag("share_att_key", false)?,
            position_buckets: (buckets > 0).then_some(buckets),
            max_relative_positions: farthest,
            norm_rel_ebd: norms.split('|').any(|name| name.trim() == "layer_norm"),
        }))
    }

    /// Half of the table's rows.
    fn span(&self) -> i64 {
        self.position_buckets.unwrap_or(self.max_relative_positions)
    }

    /// The row of the table for the distance from a key to a query.
    fn row(&self, distance: i64) -> u32 {
        let bucket = match self.position_buckets {
            Some(buckets) => log_bucket(distance, buckets, self.max_relative_positions),
            None => distance,
        };
        bucket.saturating_add(self.span()).clamp(0, 2 * self.span() - 1) as u32
    }
}

/// The bucket of a distance: itself up to half of the `buckets`, beyond that growing with its
/// logarithm up to the bucket of `farthest - 1` (`make_log_bucket_position`; f32 as there).
fn log_bucket(distance: i64, buckets: i64, farthest: i64) -> i64 {
    let middle = buckets / 2;
    let far = distance.abs();
    if far <= middle {
        return distance;
    }
    let share = (far as f32 / middle as f32).ln();
    let whole = (((farthest - 1) as f64 / middle as f64) as f32).ln();
    let beyond = (share / whole * (middle - 1) as f32).ceil() as i64;
    distance.signum() * beyond.saturating_add(middle)
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
        positions: relative.map(|r| RelativePositions::load(*r, &settings, &encoder)).transpose()?,
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
        let positions = self.positions.as_ref().map(|table| table.forward(ops, tokens.longest()));
        let embedded = self.embeddings.forward(ops, tokens);
        let beside = self.conv.as_ref().map(|conv| conv.convolve(ops, &embedded, tokens.offsets));
        let mut x = embedded;
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(ops, x, tokens.offsets, positions.as_ref());
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
            x = ops.add(x, &ops.embed(table, &Positions::From(0).of(tokens)));
        }
        if let Some(table) = &self.token_type {
            x = ops.add(x, &ops.embed(table, tokens.type_ids));
        }
        if let Some(layer) = &self.projection {
            x = ops.linear(&x, layer, Activation::Identity);
        }
        ops.norm(&x, &self.norm)
    }
}

/// The table of relative positions, for all layers.
struct RelativePositions<O: Ops> {
    settings: RelativeSettings,
    rel_embeddings: O::Embedding,
    norm: Option<O::Norm>,
}

/// The rows of the table that a batch needs.
struct BatchPositions<T> {
    buckets: Buckets,
    rows: T,
}

impl<O: Ops> RelativePositions<O> {
    fn load(
        settings: RelativeSettings,
        all: &Settings,
        scope: &Scope<O>,
    ) -> Result<Self, ModelError> {
        let LayerShape { width, norm, .. } = all.layer;
        let norm = || scope.norm("LayerNorm", width, norm);
        Ok(Self {
            settings,
            rel_embeddings: scope
                .embedding("rel_embeddings", [2 * settings.span() as usize, width])?,
            norm: settings.norm_rel_ebd.then(norm).transpose()?,
        })
    }

    fn forward(&self, ops: &O, longest: usize) -> BatchPositions<O::Tensor> {
        let buckets = Buckets::new(longest, |distance| self.settings.row(distance));
        let (buckets, used) = buckets.compact();
        let rows = ops.embed(&self.rel_embeddings, &used);
        let rows = match &self.norm {
            Some(norm) => ops.norm(&rows, norm),
            None => rows,
        };
        BatchPositions { buckets, rows }
    }
}

/// `DebertaV2Layer`, whose `DisentangledSelfAttention` multiplies queries and keys with relative
/// positions too.
struct DisentangledLayer<O: Ops> {
    layer: Layer<O>,
    terms: Option<Terms>,
    /// The projections of positions; absent where those of the content serve (`share_att_key`).
    pos_key: Option<O::Linear>,
    pos_query: Option<O::Linear>,
}

impl<O: Ops> DisentangledLayer<O> {
    fn load(settings: &Settings, scope: &Scope<O>) -> Result<Self, ModelError> {
        let width = settings.layer.width;
        let own = settings.relative.filter(|relative| !relative.share_att_key);
        let own = own.map(|relative| relative.terms);
        let projection = |name: &str| scope.linear(name, [width, width]);
        let pos_key = own.filter(|terms| terms.content_to_position);
        let pos_query = own.filter(|terms| terms.position_to_content);
        Ok(Self {
            layer: Layer::load(scope, ATTENTION, FEED_FORWARD, &settings.layer)?,
            terms: settings.relative.map(|relative| relative.terms),
            pos_key: pos_key.map(|_| projection("attention.self.pos_key_proj")).transpose()?,
            pos_query: pos_query.map(|_| projection("attention.self.pos_query_proj")).transpose()?,
        })
    }

    fn forward(
        &self,
        ops: &O,
        x: O::Tensor,
        offsets: &[usize],
        positions: Option<&BatchPositions<O::Tensor>>,
    ) -> O::Tensor {
        let (Some(positions), Some(terms)) = (positions, self.terms) else {
            return self.layer.forward(ops, x, offsets, None);
        };
        let attention = &self.layer.attention;
        let project = |layer| ops.linear(&positions.rows, layer, Activation::Identity);
        let key = self.pos_key.as_ref().unwrap_or(&attention.key);
        let query = self.pos_query.as_ref().unwrap_or(&attention.query);
        let key = terms.content_to_position.then(|| project(key));
        let query = terms.position_to_content.then(|| project(query));
        let relative = Relative {
            buckets: &positions.buckets,
            bias: None,
            key: key.as_ref(),
            query: query.as_ref(),
        };
        self.layer.forward(ops, x, offsets, Some(&relative))
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

    /// The distances at which the bucket changes, by `make_log_bucket_position` of transformers 5.23.
    #[test]
    fn buckets_are_those_of_transformers() {
        type Changes = &'static [(i64, i64)];
        let table: [(i64, i64, Changes); 3] = [
            (16, 512, &[(9, 9), (15, 10), (27, 11), (48, 12), (87, 13), (156, 14), (283, 15)]),
            (16, 40, &[(9, 9), (11, 10), (13, 11), (16, 12), (20, 13), (25, 14), (32, 15)]),
            (8, 128, &[(5, 5), (13, 6), (41, 7)]),
        ];
        for (buckets, farthest, changes) in table {
            let mut want = 0;
            for distance in 0..farthest {
                let change = changes.iter().find(|(at, _)| *at == distance);
                want = change.map_or(if distance <= buckets / 2 { distance } else { want }, |c| c.1);
                assert_eq!(log_bucket(distance, buckets, farthest), want, "{distance}");
                assert_eq!(log_bucket(-distance, buckets, farthest), -want, "-{distance}");
            }
        }
    }

    fn settings(config: &Value) -> Result<Option<RelativeSettings>, String> {
        let config = Config::new(config.as_object().expect("an object"));
        Settings::read(config).map(|settings| settings.relative).map_err(|error| error.to_string())
    }

    /// By hand: without buckets the table has a row for each distance up to the farthest.
    #[test]
    fn rows_end_with_the_table() {
        let config = json!({"relative_attention": true, "max_relative_positions": 4});
        let relative = settings(&config).expect("settings").expect("relative");
        let rows: Vec<u32> = (-6..=6).map(|distance| relative.row(distance)).collect();
        assert_eq!(rows, [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7]);
    }

    #[test]
    fn terms_come_as_a_list_or_a_text() {
        let count = |value: Value| {
            let config = json!({"pos_att_type": value});
            Terms::read(Config::new(config.as_object().expect("an object"))).map(Terms::count)
        };
        assert_eq!(count(json!("p2c | C2P")).ok(), Some(3));
        assert_eq!(count(json!(["c2p"])).ok(), Some(2));
        assert_eq!(count(json!([])).ok(), Some(1));
        assert!(count(json!("p2p")).is_err_and(|e| e.to_string().contains("pos_att_type")));
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
