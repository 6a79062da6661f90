//! ModernBERT (Warner et al. 2024), as transformers' `ModernBertModel` and
//! `ModernBertForSequenceClassification`.

use mlxq_checkpoint::layout::{Count, Key, KeyValue, Kind, Layout, Module, Rule};
use serde_json::Value;

use super::Description;
use crate::config::wrong;
use crate::{
    Activation, AttentionSpec, Config, Encoder, Mask, ModelError, NormKind, Ops, Pooling, Positions,
    Scope, Tokens,
};

pub(super) const LAYOUT: Layout = Layout {
    // Every MLX client's mask overflows in float16 and gives NaN.
    kind: Kind::Encoder {
        base_class: "ModernBertModel",
        base_prefix: "model.",
        needs_bfloat16: true,
    },
    base: &[&[
        Module::embedding("embeddings.tok_embeddings"),
        Module::norm("embeddings.norm"),
        // The first layer has none.
        Module::norm("layers.{i}.attn_norm").optional(),
        Module::linear("layers.{i}.attn.Wqkv"),
        Module::linear("layers.{i}.attn.Wo"),
        Module::norm("layers.{i}.mlp_norm"),
        Module::linear("layers.{i}.mlp.Wi"),
        Module::linear("layers.{i}.mlp.Wo"),
        Module::norm("final_norm"),
    ]],
    heads: &[
        Module::head("head.dense").maybe_bias(),
        Module::norm("head.norm"),
        Module::head("classifier"),
    ],
    counts: &[Count { hole: "i", keys: &["num_hidden_layers"], default: 22, less: 0 }],
    rules: &[Rule::Drop("decoder.{*}", "a head that prediction does not use")],
    keys: &[
        Key::from("global_rope_theta", &["rope_parameters", "full_attention", "rope_theta"]),
        Key::from("local_rope_theta", &["rope_parameters", "sliding_attention", "rope_theta"]),
        Key { name: "classifier_pooling", value: KeyValue::PoolingMode },
    ],
    ..Layout::decoder()
};

/// How far a layer's tokens see: `layer_types`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The whole row.
    Global,
    /// A window.
    Local,
}

impl Reach {
    const ALL: [Self; 2] = [Self::Global, Self::Local];

    /// The name in `layer_types` and `rope_parameters`.
    fn name(self) -> &'static str {
        match self {
            Self::Global => "full_attention",
            Self::Local => "sliding_attention",
        }
    }

    /// The base of rotary positions: in `own`, this kind's part of `rope_parameters`, else under the
    /// older key, else the default.
    fn rope_theta(self, config: Config, own: Option<Config>) -> Result<f32, ModelError> {
        let (older, default) = match self {
            Self::Global => ("global_rope_theta", 160_000.0),
            Self::Local => ("local_rope_theta", 10_000.0),
        };
        let default = config.positive(older, default)?;
        let Some(own) = own else {
            return Ok(default);
        };
        own.refuse_unless(own.present(&["rope_type", "type"])?, &Value::from("default"))?;
        own.positive("rope_theta", default)
    }
}

/// The settings of `ModernBertConfig` that change the computation, with its defaults.
struct Settings {
    vocab_size: usize,
    hidden_size: usize,
    layers: Vec<Reach>,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    hidden_activation: Activation,
    norm: NormKind,
    /// Tokens seen to each side in a local layer.
    window: usize,
    rope_theta: [f32; 2],
    attention_bias: bool,
    mlp_bias: bool,
    classifier_bias: bool,
    classifier_activation: Activation,
    classifier_pooling: Pooling,
}

impl Settings {
    fn read(config: Config) -> Result<Self, ModelError> {
        config.refuse_unless("rope_scaling", &Value::Null)?;
        let hidden_size = config.size("hidden_size", 768, 1 << 16)?;
        let heads = config.heads("num_attention_heads", 12, ("hidden_size", hidden_size))?;
        let head_size = hidden_size / heads;
        config.refuse_unless("head_dim", &Value::from(head_size))?;
        if !head_size.is_multiple_of(2) {
            let expected = format!("an even part of `hidden_size` = {hidden_size} for each head");
            return Err(wrong("num_attention_heads", &heads.into(), &expected));
        }
        let epsilon = config.positive("norm_eps", 1e-5)?;
        let norm = match config.flag("norm_bias", false)? {
            true => NormKind::LayerNorm(epsilon),
            false => NormKind::LayerNormWithoutBias(epsilon),
        };
        let [global, local] = config.objects("rope_parameters", Reach::ALL.map(Reach::name))?;
        let global = Reach::Global.rope_theta(config, global)?;
        let local = Reach::Local.rope_theta(config, local)?;
        Ok(Self {
            vocab_size: config.size("vocab_size", 50368, 1 << 24)?,
            hidden_size,
            layers: layers(config)?,
            num_attention_heads: heads,
            intermediate_size: config.size("intermediate_size", 1152, 1 << 17)?,
            max_position_embeddings: config.size("max_position_embeddings", 8192, 1 << 24)?,
            hidden_activation: config.activation("hidden_activation", "gelu")?,
            norm,
            window: window(config)?,
            rope_theta: [global, local],
            attention_bias: config.flag("attention_bias", false)?,
            mlp_bias: config.flag("mlp_bias", false)?,
            classifier_bias: config.flag("classifier_bias", false)?,
            classifier_activation: config.activation("classifier_activation", "gelu")?,
            classifier_pooling: match config.text("classifier_pooling", "cls")? {
                "cls" => Pooling::Cls,
                "mean" => Pooling::Mean,
                other => return Err(wrong("classifier_pooling", &other.into(), "`cls` or `mean`")),
            },
        })
    }
}

/// The reach of each layer: `layer_types`, or every `global_attn_every_n_layers`th one global.
fn layers(config: Config) -> Result<Vec<Reach>, ModelError> {
    let count = config.size("num_hidden_layers", 22, 1 << 12)?;
    let Some(types) = config.get("layer_types") else {
        let every = config.size("global_attn_every_n_layers", 3, 1 << 12)?;
        let reach = |i: usize| if i.is_multiple_of(every) { Reach::Global } else { Reach::Local };
        return Ok((0..count).map(reach).collect());
    };
    let named = |name: &Value| Reach::ALL.into_iter().find(|reach| name == reach.name());
    let found: Option<Vec<Reach>> = types.as_array().and_then(|t| t.iter().map(named).collect());
    found.filter(|found| found.len() == count).ok_or_else(|| {
        let expected = format!("{count} times `full_attention` or `sliding_attention`");
        wrong("layer_types", types, &expected)
    })
}

/// Tokens seen to each side: half of `local_attention`, or `sliding_window`, which is the half itself.
fn window(config: Config) -> Result<usize, ModelError> {
    match config.get("sliding_window") {
        Some(_) => config.count("sliding_window", 0, 1 << 24),
        None => Ok(config.count("local_attention", 128, 1 << 25)? / 2),
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
) -> Result<ModernBert<O>, ModelError> {
    let settings = Settings::read(config)?;
    let (width, norm) = (settings.hidden_size, settings.norm);
    let layer = |(i, reach): (usize, &Reach)| {
        Layer::load(&settings, i == 0, *reach, &scope.at(&format!("layers.{i}")))
    };
    Ok(ModernBert {
        tok_embeddings: scope.embedding("embeddings.tok_embeddings", [settings.vocab_size, width])?,
        embeddings_norm: scope.norm("embeddings.norm", width, norm)?,
        layers: settings.layers.iter().enumerate().map(layer).collect::<Result<_, _>>()?,
        final_norm: scope.norm("final_norm", width, norm)?,
        head_size: width / settings.num_attention_heads,
        rope_theta: settings.rope_theta,
        head: labels.map(|labels| Head::load(&settings, labels, scope)).transpose()?,
    })
}

/// `ModernBertModel`, with the head of `ModernBertForSequenceClassification` if there is one.
pub(super) struct ModernBert<O: Ops> {
    tok_embeddings: O::Embedding,
    embeddings_norm: O::Norm,
    layers: Vec<Layer<O>>,
    final_norm: O::Norm,
    head_size: usize,
    /// Bases of the rotary positions of global and local layers.
    rope_theta: [f32; 2],
    head: Option<Head<O>>,
}

impl<O: Ops> Encoder<O> for ModernBert<O> {
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor {
        let positions = Positions::From(0).of(tokens);
        let [global, local] =
            self.rope_theta.map(|base| ops.rotary_angles(&positions, self.head_size, base));
        let embedded = ops.norm(&ops.embed(&self.tok_embeddings, tokens.ids), &self.embeddings_norm);
        let forward = |x, layer: &Layer<O>| {
            let angles = if layer.reach == Reach::Global { &global } else { &local };
            layer.forward(ops, x, tokens.offsets, angles)
        };
        ops.norm(&self.layers.iter().fold(embedded, forward), &self.final_norm)
    }

    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor> {
        self.head.as_ref().map(|head| head.forward(ops, hidden, tokens.offsets))
    }
}

/// `ModernBertEncoderLayer`: attention and a gated feed-forward part, each behind a norm and added to
/// its input.
struct Layer<O: Ops> {
    /// The first layer has none.
    attn_norm: Option<O::Norm>,
    wqkv: O::Linear,
    attn_wo: O::Linear,
    attention: AttentionSpec,
    reach: Reach,
    mlp_norm: O::Norm,
    wi: O::Linear,
    mlp_wo: O::Linear,
    activation: Activation,
}

impl<O: Ops> Layer<O> {
    fn load(
        settings: &Settings,
        first: bool,
        reach: Reach,
        scope: &Scope<O>,
    ) -> Result<Self, ModelError> {
        let (width, inner) = (settings.hidden_size, settings.intermediate_size);
        let norm = |name| scope.norm(name, width, settings.norm);
        let attn = |name, shape| scope.linear_if(name, shape, settings.attention_bias);
        let mlp = |name, shape| scope.linear_if(name, shape, settings.mlp_bias);
        let mask = match reach {
            Reach::Global => Mask::Full,
            Reach::Local => Mask::Window(settings.window),
        };
        Ok(Self {
            attn_norm: (!first).then(|| norm("attn_norm")).transpose()?,
            wqkv: attn("attn.Wqkv", [3 * width, width])?,
            attn_wo: attn("attn.Wo", [width, width])?,
            attention: AttentionSpec::new(width, settings.num_attention_heads).masked(mask),
            reach,
            mlp_norm: norm("mlp_norm")?,
            wi: mlp("mlp.Wi", [2 * inner, width])?,
            mlp_wo: mlp("mlp.Wo", [width, inner])?,
            activation: settings.hidden_activation,
        })
    }

    fn forward(
        &self,
        ops: &O,
        x: O::Tensor,
        offsets: &[usize],
        angles: &O::Tensor,
    ) -> O::Tensor {
        let attended = self.attend(ops, &x, offsets, angles);
        let x = ops.linear_add(&attended, &self.attn_wo, Activation::Identity, &x);
        drop(attended);
        let normed = ops.norm(&x, &self.mlp_norm);
        let gated = ops.gated(&ops.linear(&normed, &self.wi, Activation::Identity), self.activation);
        ops.linear_add(&gated, &self.mlp_wo, Activation::Identity, &x)
    }

    /// What the heads give, side by side.
    fn attend(
        &self,
        ops: &O,
        x: &O::Tensor,
        offsets: &[usize],
        angles: &O::Tensor,
    ) -> O::Tensor {
        let projected = match &self.attn_norm {
            Some(norm) => {
                let normed = ops.norm(x, norm);
                ops.linear(&normed, &self.wqkv, Activation::Identity)
            }
            None => ops.linear(x, &self.wqkv, Activation::Identity),
        };
        let [query, key, value] = ops.split(projected);
        let [query, key] = [query, key].map(|x| ops.rotate(x, angles));
        ops.attention([&query, &key, &value], offsets, &self.attention, None)
    }
}

/// `ModernBertPredictionHead` and the classifier, on the pooled row.
struct Head<O: Ops> {
    pooling: Pooling,
    dense: O::Linear,
    activation: Activation,
    norm: O::Norm,
    classifier: O::Linear,
}

impl<O: Ops> Head<O> {
    fn load(settings: &Settings, labels: usize, scope: &Scope<O>) -> Result<Self, ModelError> {
        let width = settings.hidden_size;
        Ok(Self {
            pooling: settings.classifier_pooling,
            dense: scope.linear_if("head.dense", [width, width], settings.classifier_bias)?,
            activation: settings.classifier_activation,
            norm: scope.norm("head.norm", width, settings.norm)?,
            classifier: scope.linear("classifier", [labels, width])?,
        })
    }

    fn forward(&self, ops: &O, hidden: &O::Tensor, offsets: &[usize]) -> O::Tensor {
        let pooled = ops.pool(hidden, offsets, &[self.pooling]);
        let dense = ops.norm(&ops.linear(&pooled, &self.dense, self.activation), &self.norm);
        ops.linear(&dense, &self.classifier, Activation::Identity)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(config: &Value) -> Result<Settings, String> {
        let config = Config::new(config.as_object().expect("an object"));
        Settings::read(config).map_err(|error| error.to_string())
    }

    /// By the rules of `ModernBertConfig`: every third layer global, a window of half of 128 to each
    /// side; or as the newer keys say.
    #[test]
    fn layers_windows_and_bases_come_from_old_and_new_keys() {
        use Reach::{Global, Local};
        let old = json!({"num_hidden_layers": 4, "global_rope_theta": 5.0, "local_attention": 9});
        let old = settings(&old).expect("settings");
        assert_eq!(old.layers, [Global, Local, Local, Global]);
        assert_eq!((old.window, old.rope_theta), (4, [5.0, 10_000.0]));
        let new = json!({
            "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"],
            "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 7.0},
                "sliding_attention": {"rope_type": "default"}},
            "local_rope_theta": 3.0,
        });
        let new = settings(&new).expect("settings");
        assert_eq!(new.layers, [Local, Global]);
        assert_eq!((new.window, new.rope_theta), (64, [7.0, 3.0]));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let yarn = json!({"full_attention": {"rope_type": "yarn", "factor": 2.0}});
        for (key, config) in [
            ("layer_types", json!({"num_hidden_layers": 2, "layer_types": ["full_attention"]})),
            ("layer_types", json!({"num_hidden_layers": 1, "layer_types": ["chunked"]})),
            ("rope_type", json!({"rope_parameters": yarn})),
            ("rope_parameters", json!({"rope_parameters": {"rope_theta": 7.0}})),
            ("rope_scaling", json!({"rope_scaling": {"type": "linear", "factor": 2.0}})),
            ("head_dim", json!({"head_dim": 32})),
            ("num_attention_heads", json!({"hidden_size": 9, "num_attention_heads": 3})),
            ("classifier_pooling", json!({"classifier_pooling": "max"})),
        ] {
            let error = settings(&config).err().expect("refused");
            assert!(error.contains(&format!("`{key}`")), "{error}");
        }
    }
}
