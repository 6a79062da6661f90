//! What sentence-transformers puts behind an encoder: pooling, dense layers and norms.
//!
//! Follows `modules.json` and the classes Pooling, Dense, LayerNorm and Normalize of
//! sentence-transformers 6.2, Pooling in both the older form of its settings
//! (`pooling_mode_cls_token` …) and the newer (`pooling_mode`).

use serde_json::{Map, Value};

use crate::config::{unsupported, wrong};
use crate::{Activation, Config, ModelError, NormKind, Ops, Pooling, Scope};

/// The modules behind an encoder, in order, by their settings.
#[derive(Debug, Clone, PartialEq)]
pub struct SentenceSettings {
    pooling: Vec<Pooling>,
    modules: Vec<ModuleSettings>,
}

/// A module behind the pooling.
#[derive(Debug, Clone, PartialEq)]
enum ModuleSettings {
    Dense(DenseSettings),
    LayerNorm { folder: String, dimension: usize },
    Normalize,
}

impl ModuleSettings {
    /// The folder of its weights, if it has any.
    fn folder(&self) -> Option<&str> {
        match self {
            Self::Dense(DenseSettings { folder, .. }) | Self::LayerNorm { folder, .. } => {
                Some(folder)
            }
            Self::Normalize => None,
        }
    }
}

/// A Dense module: `activation(x weight^T + bias)`, onto which `x` itself may be added, through a
/// layer of its own where the widths differ.
#[derive(Debug, Clone, PartialEq)]
struct DenseSettings {
    folder: String,
    in_features: usize,
    out_features: usize,
    bias: bool,
    activation: Activation,
    use_residual: bool,
}

/// Older flag, newer name, and what they mean, in the order in which results are put side by side.
const MODES: [(&str, &str, Pooling); 6] = [
    ("pooling_mode_cls_token", "cls", Pooling::Cls),
    ("pooling_mode_max_tokens", "max", Pooling::Max),
    ("pooling_mode_mean_tokens", "mean", Pooling::Mean),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", Pooling::MeanSqrtLength),
    ("pooling_mode_weightedmean_tokens", "weightedmean", Pooling::WeightedMean),
    ("pooling_mode_lasttoken", "lasttoken", Pooling::LastToken),
];

impl SentenceSettings {
    /// What sentence-transformers does with a folder that has no `modules.json`: the mean.
    pub fn mean() -> Self {
        Self { pooling: vec![Pooling::Mean], modules: Vec::new() }
    }

    /// Reads `modules.json`; `settings` gives the `config.json` of a module's folder.
    ///
    /// # Errors
    /// When a module is unknown or in a place where it cannot be honoured, or a setting is.
    pub fn read(
        modules: &Value,
        settings: impl Fn(&str) -> Result<Value, ModelError>,
    ) -> Result<Self, ModelError> {
        let refuse = |reason: &str| sentence_error("modules.json", reason);
        let listed = modules.as_array().ok_or_else(|| refuse("is not a list of modules"))?;
        let (mut pooling, mut modules) = (Vec::new(), Vec::new());
        for (place, module) in listed.iter().enumerate() {
            let text = |key| module.get(key).and_then(Value::as_str);
            let kind = text("type").ok_or_else(|| refuse("has a module without `type`"))?;
            let folder = text("path").unwrap_or_default();
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" if place == 0 => {}
                "Pooling" if place == 1 => pooling = pooling_modes(&settings(folder)?, folder)?,
                "Dense" if place >= 2 => {
                    let dense = DenseSettings::read(&settings(folder)?, folder)?;
                    modules.push(ModuleSettings::Dense(dense));
                }
                "LayerNorm" if place >= 2 => {
                    let dimension = |config: Config| config.size("dimension", 768, 1 << 16);
                    let dimension = in_file(&settings(folder)?, folder, dimension)?;
                    modules
                        .push(ModuleSettings::LayerNorm { folder: folder.to_owned(), dimension });
                }
                "Normalize" if place >= 2 => modules.push(ModuleSettings::Normalize),
                "Dropout" => {}
                _ => {
                    return Err(refuse(&format!(
                        "module {place}, `{kind}`, is not supported here"
                    )));
                }
            }
        }
        if pooling.is_empty() {
            return Err(refuse("has no Pooling module"));
        }
        Ok(Self { pooling, modules })
    }

    /// Folders of the modules that have weights.
    pub fn folders(&self) -> Vec<&str> {
        self.modules.iter().filter_map(ModuleSettings::folder).collect()
    }

    /// The modules with their weights, each under the name of its folder.
    ///
    /// # Errors
    /// When a module's weights are missing or do not fit its settings.
    pub fn load<O: Ops>(&self, scope: &Scope<O>) -> Result<SentenceModules<O>, ModelError> {
        let load = |module: &ModuleSettings| {
            Ok(match module {
                ModuleSettings::Dense(dense) => Module::Dense(dense.load(scope)?),
                ModuleSettings::LayerNorm { folder, dimension } => {
                    // PyTorch's default epsilon.
                    let kind = NormKind::LayerNorm(1e-5);
                    Module::Norm(scope.at(folder).norm("norm", *dimension, kind)?)
                }
                ModuleSettings::Normalize => Module::Normalize,
            })
        };
        let modules = self.modules.iter().map(load).collect::<Result<_, ModelError>>()?;
        Ok(SentenceModules { pooling: self.pooling.clone(), modules })
    }

    /// The modules in words, for records.
    pub fn describe(&self) -> String {
        let name = |mode: &Pooling| MODES.iter().find(|(_, _, other)| other == mode).map(|m| m.1);
        let mut words: Vec<_> = self.pooling.iter().filter_map(name).map(str::to_owned).collect();
        words.extend(self.modules.iter().map(|module| match module {
            ModuleSettings::Dense(dense) => format!("dense {}", dense.out_features),
            ModuleSettings::LayerNorm { .. } => "layer_norm".to_owned(),
            ModuleSettings::Normalize => "normalize".to_owned(),
        }));
        words.join("+")
    }
}

impl DenseSettings {
    /// By sentence-transformers' class, whose default activation is tanh.
    fn read(settings: &Value, folder: &str) -> Result<Self, ModelError> {
        in_file(settings, folder, |config| {
            const WIDTHS: [&str; 2] = ["in_features", "out_features"];
            if let Some(key) = WIDTHS.iter().find(|key| config.get(key).is_none()) {
                return Err(wrong(key, &Value::Null, "a number of features"));
            }
            for key in ["module_input_name", "module_output_name"] {
                config.refuse_unless(key, &Value::from("sentence_embedding"))?;
            }
            let key = "activation_function";
            let name = config.text(key, "torch.nn.modules.activation.Tanh")?;
            let activation = Activation::from_torch_class(name);
            let [in_features, out_features] = WIDTHS.map(|key| config.size(key, 1, 1 << 16));
            Ok(Self {
                folder: folder.to_owned(),
                in_features: in_features?,
                out_features: out_features?,
                bias: config.flag("bias", true)?,
                activation: activation.ok_or_else(|| unsupported(key, &Value::from(name)))?,
                use_residual: config.flag("use_residual", false)?,
            })
        })
    }

    fn load<O: Ops>(&self, scope: &Scope<O>) -> Result<Dense<O>, ModelError> {
        let (scope, shape) = (scope.at(&self.folder), [self.out_features, self.in_features]);
        let projects = self.use_residual && self.in_features != self.out_features;
        let projection = || scope.linear_if("residual", shape, false);
        Ok(Dense {
            linear: scope.linear_if("linear", shape, self.bias)?,
            activation: self.activation,
            use_residual: self.use_residual,
            projection: projects.then(projection).transpose()?,
        })
    }
}

/// The modules behind an encoder, in order.
pub struct SentenceModules<O: Ops> {
    pooling: Vec<Pooling>,
    modules: Vec<Module<O>>,
}

enum Module<O: Ops> {
    Dense(Dense<O>),
    Norm(O::Norm),
    Normalize,
}

struct Dense<O: Ops> {
    linear: O::Linear,
    activation: Activation,
    use_residual: bool,
    projection: Option<O::Linear>,
}

impl<O: Ops> SentenceModules<O> {
    /// The embedding of each row, `[rows, width]`, from the hidden states of its tokens.
    pub fn forward(&self, ops: &O, hidden: &O::Tensor, offsets: &[usize]) -> O::Tensor {
        let pooled = ops.pool(hidden, offsets, &self.pooling);
        self.modules.iter().fold(pooled, |x, module| match module {
            Module::Dense(dense) => dense.forward(ops, x),
            Module::Norm(norm) => ops.norm(&x, norm),
            Module::Normalize => ops.normalize(x),
        })
    }
}

impl<O: Ops> Dense<O> {
    fn forward(&self, ops: &O, x: O::Tensor) -> O::Tensor {
        let onto = |residual| ops.linear_add(&x, &self.linear, self.activation, residual);
        match &self.projection {
            Some(layer) => onto(&ops.linear(&x, layer, Activation::Identity)),
            None if self.use_residual => onto(&x),
            None => ops.linear(&x, &self.linear, self.activation),
        }
    }
}

/// What `read` makes of a module's settings, an error naming their file.
fn in_file<T>(
    settings: &Value,
    folder: &str,
    read: impl Fn(Config) -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let file = format!("{folder}/config.json");
    let map = settings.as_object();
    let map = map.ok_or_else(|| sentence_error(&file, "is not an object"))?;
    read(Config::new(map)).map_err(|error| {
        let reason = error.to_string();
        sentence_error(&file, reason.strip_prefix("config.json: ").unwrap_or(&reason))
    })
}

/// The modes of a Pooling module's `config.json`.
fn pooling_modes(settings: &Value, path: &str) -> Result<Vec<Pooling>, ModelError> {
    let refuse = |reason: String| sentence_error(&format!("{path}/config.json"), &reason);
    let map = settings.as_object().ok_or_else(|| refuse("is not an object".to_owned()))?;
    if map.get("include_prompt") == Some(&Value::Bool(false)) {
        return Err(refuse("`include_prompt` = false is not supported".to_owned()));
    }
    let modes = match map.get("pooling_mode") {
        None => from_flags(map),
        Some(Value::String(name)) => from_names([name.as_str()]),
        Some(Value::Array(names)) => from_names(names.iter().map(|n| n.as_str().unwrap_or("?"))),
        Some(other) => Err(format!("`pooling_mode` = {other} is no name or list of names")),
    };
    let modes = modes.map_err(refuse)?;
    if modes.is_empty() { Err(refuse("switches no pooling mode on".to_owned())) } else { Ok(modes) }
}

fn from_flags(map: &Map<String, Value>) -> Result<Vec<Pooling>, String> {
    let on = |flag: &str| map.get(flag) == Some(&Value::Bool(true));
    let known = |key: &String| MODES.iter().any(|(flag, _, _)| flag == key);
    if let Some(key) = map.keys().find(|key| key.starts_with("pooling_mode_") && !known(key)) {
        return Err(format!("`{key}` is not supported"));
    }
    Ok(MODES.iter().filter(|(flag, _, _)| on(flag)).map(|(_, _, mode)| *mode).collect())
}

fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Pooling>, String> {
    let find = |name: &str| {
        let known = MODES.iter().find(|(_, known, _)| *known == name);
        known.map(|m| m.2).ok_or_else(|| format!("`pooling_mode` = `{name}` is not supported"))
    };
    names.into_iter().map(find).collect()
}

fn sentence_error(file: &str, reason: &str) -> ModelError {
    ModelError::Sentence { file: file.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn modules(kinds: &[&str]) -> Value {
        kinds.iter().map(|kind| json!({"type": format!("st.models.{kind}"), "path": "p"})).collect()
    }

    fn read(kinds: &[&str], pooling: &Value) -> Result<String, String> {
        SentenceSettings::read(&modules(kinds), |_| Ok(pooling.clone()))
            .map(|modules| modules.describe())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn both_forms_of_the_settings_are_read() {
        let kinds = ["Transformer", "Pooling", "Normalize"];
        let older = json!({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true,
            "pooling_mode_max_tokens": false});
        assert_eq!(read(&kinds, &older).as_deref(), Ok("cls+mean+normalize"));
        let newer = json!({"pooling_mode": ["lasttoken", "max"]});
        assert_eq!(read(&kinds[..2], &newer).as_deref(), Ok("lasttoken+max"));
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        let mean = json!({"pooling_mode": "mean"});
        for (kinds, pooling) in [
            (vec!["Transformer"], mean.clone()),
            (vec!["Transformer", "Pooling", "CNN"], mean.clone()),
            (vec!["Transformer", "Dense", "Pooling"], mean.clone()),
            (vec!["Transformer", "Normalize", "Pooling"], mean),
            (vec!["Transformer", "Pooling"], json!({"pooling_mode": "median"})),
            (vec!["Transformer", "Pooling"], json!({"pooling_mode_mean_tokens": false})),
            (vec!["Transformer", "Pooling"], json!({"pooling_mode_other": true})),
        ] {
            let error = read(&kinds, &pooling).expect_err("refused");
            assert!(error.contains("json: "), "{error}");
        }
    }

    #[test]
    fn a_dense_module_needs_settings_that_are_honoured() {
        let read = |settings: &Value| DenseSettings::read(settings, "2_Dense");
        let plain = read(&json!({"in_features": 4, "out_features": 2})).expect("settings");
        assert_eq!(
            (plain.bias, plain.activation, plain.use_residual),
            (true, Activation::Tanh, false)
        );
        for (key, value) in [
            ("in_features", json!(null)),
            ("out_features", json!(0)),
            ("activation_function", json!("my.own.Function")),
            ("module_input_name", json!("token_embeddings")),
        ] {
            let mut settings = json!({"in_features": 4, "out_features": 2});
            settings[key] = value;
            let error = read(&settings).expect_err("refused").to_string();
            assert!(error.starts_with("2_Dense/config.json: `") && error.contains(key), "{error}");
        }
    }
}
