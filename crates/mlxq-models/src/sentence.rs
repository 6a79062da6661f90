//! What sentence-transformers puts behind an encoder: pooling and normalization.
//!
//! Follows `modules.json` and the Pooling module of sentence-transformers 6.2, in both the older form
//! of its settings (`pooling_mode_cls_token` …) and the newer (`pooling_mode`).

use serde_json::{Map, Value};

use crate::{ModelError, Ops, Pooling};

/// The modules behind an encoder, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentenceModules {
    pooling: Vec<Pooling>,
    normalize: bool,
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

impl SentenceModules {
    /// What sentence-transformers does with a folder that has no `modules.json`: the mean.
    pub fn mean() -> Self {
        Self { pooling: vec![Pooling::Mean], normalize: false }
    }

    /// Reads `modules.json`; `settings` gives the `config.json` of a module's folder.
    ///
    /// # Errors
    /// When a module is unknown or in a place where it cannot be honoured.
    pub fn read(
        modules: &Value,
        settings: impl Fn(&str) -> Result<Value, ModelError>,
    ) -> Result<Self, ModelError> {
        let refuse = |reason: &str| sentence_error("modules.json", reason);
        let modules = modules.as_array().ok_or_else(|| refuse("is not a list of modules"))?;
        let mut pooling = Vec::new();
        let mut normalize = false;
        for (place, module) in modules.iter().enumerate() {
            let text = |key| module.get(key).and_then(Value::as_str);
            let kind = text("type").ok_or_else(|| refuse("has a module without `type`"))?;
            let path = text("path").unwrap_or_default();
            match kind.rsplit('.').next().unwrap_or_default() {
                "Transformer" if place == 0 => {}
                "Pooling" if place == 1 => pooling = pooling_modes(&settings(path)?, path)?,
                "Normalize" if place >= 2 => normalize = true,
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
        Ok(Self { pooling, normalize })
    }

    /// The embedding of each row, `[rows, width]`, from the hidden states of its tokens.
    pub fn forward<O: Ops>(&self, ops: &O, hidden: &O::Tensor, offsets: &[usize]) -> O::Tensor {
        let pooled = ops.pool(hidden, offsets, &self.pooling);
        if self.normalize { ops.normalize(pooled) } else { pooled }
    }

    /// The modules in words, for records.
    pub fn describe(&self) -> String {
        let name = |mode: &Pooling| MODES.iter().find(|(_, _, other)| other == mode).map(|m| m.1);
        let mut words: Vec<_> = self.pooling.iter().filter_map(name).collect();
        words.extend(self.normalize.then_some("normalize"));
        words.join("+")
    }
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
        SentenceModules::read(&modules(kinds), |_| Ok(pooling.clone()))
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
            (vec!["Transformer", "Pooling", "Dense"], mean.clone()),
            (vec!["Transformer", "Normalize", "Pooling"], mean),
            (vec!["Transformer", "Pooling"], json!({"pooling_mode": "median"})),
            (vec!["Transformer", "Pooling"], json!({"pooling_mode_mean_tokens": false})),
            (vec!["Transformer", "Pooling"], json!({"pooling_mode_other": true})),
        ] {
            let error = read(&kinds, &pooling).expect_err("refused");
            assert!(error.contains("json: "), "{error}");
        }
    }
}
