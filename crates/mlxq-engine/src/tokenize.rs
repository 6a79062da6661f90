//! Texts to token ids, as the Python library that the folder belongs to would make them.
//!
//! A `tokenizer.json` may carry truncation and padding settings of its own; they are replaced. The
//! longest row follows sentence-transformers' rule where the folder has a `modules.json`, and
//! transformers' otherwise.

use std::path::Path;

use mlxq_checkpoint::json;
use mlxq_models::Config;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy};

use crate::EngineError;

/// A row of token ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Segment of each token.
    pub type_ids: Vec<u32>,
    /// Whether the text was cut.
    pub truncated: bool,
}

/// The longest row of tokens, special ones counted, and what decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxLength {
    /// Number of tokens.
    pub tokens: usize,
    /// The file or setting that decided it.
    pub decided_by: String,
}

impl MaxLength {
    fn new(tokens: usize, decided_by: &str) -> Self {
        Self { tokens, decided_by: decided_by.to_owned() }
    }
}

/// A folder's tokenizer.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    max_length: MaxLength,
}

impl Tokenizer {
    /// Opens the tokenizer of the model folder `dir`; `asked` replaces the folder's own maximum.
    /// What exceeds the model's positions is clamped to them: [`Self::max_length`] tells.
    ///
    /// # Errors
    /// When a file is missing or wrong, or the maximum leaves no room for a text.
    pub fn open(dir: &Path, asked: Option<usize>) -> Result<Self, EngineError> {
        let path = dir.join("tokenizer.json");
        let refuse = |reason: String| EngineError::Tokenizer { path: path.clone(), reason };
        if !path.is_file() {
            return Err(refuse(
                "there is no such file; save the tokenizer in its fast form".into(),
            ));
        }
        let mut inner =
            tokenizers::Tokenizer::from_file(&path).map_err(|error| refuse(error.to_string()))?;
        let settings = FolderSettings::read(dir)?;
        let max_length = settings.max_length(asked);
        let special =
            inner.get_post_processor().map_or(0, |processor| processor.added_tokens(true));
        if max_length.tokens <= special + 1 {
            let MaxLength { tokens, decided_by } = &max_length;
            return Err(refuse(format!(
                "a maximum of {tokens} tokens ({decided_by}) leaves no room beside {special} special tokens"
            )));
        }
        let truncation = TruncationParams {
            max_length: max_length.tokens,
            strategy: TruncationStrategy::LongestFirst,
            stride: 0,
            direction: settings.truncation_direction(),
        };
        inner.with_truncation(Some(truncation)).map_err(|error| refuse(error.to_string()))?;
        inner.with_padding(None);
        if settings.lowercases() {
            lowercase_first(&mut inner).map_err(|error| refuse(error.to_string()))?;
        }
        Ok(Self { inner, max_length })
    }

    /// The longest row, and what decided it.
    pub fn max_length(&self) -> &MaxLength {
        &self.max_length
    }

    /// Token ids of a text, or of a pair, with special tokens; longer inputs are cut from the longer
    /// text first.
    ///
    /// # Errors
    /// When the tokenizer cannot encode the text.
    pub fn encode(&self, text: &str, pair: Option<&str>) -> Result<Encoding, EngineError> {
        let encoded = match pair {
            Some(pair) => self.inner.encode_fast((text, pair), true),
            None => self.inner.encode_fast(text, true),
        };
        let encoded = encoded.map_err(|error| EngineError::Tokenizer {
            path: "tokenizer.json".into(),
            reason: error.to_string(),
        })?;
        Ok(Encoding {
            ids: encoded.get_ids().to_vec(),
            type_ids: encoded.get_type_ids().to_vec(),
            truncated: !encoded.get_overflowing().is_empty(),
        })
    }
}

/// Lower-cases texts before anything else, as sentence-transformers does for `do_lower_case`.
fn lowercase_first(tokenizer: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let mut steps = vec![NormalizerWrapper::Lowercase(Lowercase)];
    steps.extend(tokenizer.get_normalizer().cloned());
    tokenizer.with_normalizer(Some(NormalizerWrapper::Sequence(Sequence::new(steps)))).map(|_| ())
}

/// The files of a folder that decide about lengths; `Null` where one is absent.
struct FolderSettings {
    is_sentence_transformer: bool,
    sentence: Value,
    tokenizer: Value,
    positions: usize,
}

impl FolderSettings {
    fn read(dir: &Path) -> Result<Self, EngineError> {
        let optional = |name: &str| -> Result<Value, EngineError> {
            let path = dir.join(name);
            if path.is_file() { Ok(json::read_file(&path)?) } else { Ok(Value::Null) }
        };
        let config = json::read_file(&dir.join("config.json"))?;
        let empty = serde_json::Map::new();
        let config = Config::new(config.as_object().unwrap_or(&empty));
        let model_type = config.text("model_type", "")?;
        Ok(Self {
            is_sentence_transformer: dir.join("modules.json").is_file(),
            sentence: optional("sentence_bert_config.json")?,
            tokenizer: optional("tokenizer_config.json")?,
            positions: mlxq_models::describe(model_type, config)?.max_tokens,
        })
    }

    fn max_length(&self, asked: Option<usize>) -> MaxLength {
        let wanted = match asked {
            Some(tokens) => Some(MaxLength::new(tokens, "the setting given")),
            None => self.sentence_length().or_else(|| self.tokenizer_length()),
        };
        match wanted {
            Some(wanted) if wanted.tokens <= self.positions => wanted,
            _ => MaxLength::new(self.positions, "config.json: the model's positions"),
        }
    }

    fn sentence_length(&self) -> Option<MaxLength> {
        let tokens = self.sentence.get("max_seq_length")?.as_u64()?;
        let tokens = usize::try_from(tokens).ok().filter(|_| self.is_sentence_transformer)?;
        Some(MaxLength::new(tokens, "sentence_bert_config.json: `max_seq_length`"))
    }

    fn tokenizer_length(&self) -> Option<MaxLength> {
        // Often 1e30, for "no limit": a float, which the cast saturates.
        let tokens = self.tokenizer.get("model_max_length")?.as_f64().filter(|x| *x >= 1.0)?;
        Some(MaxLength::new(tokens as usize, "tokenizer_config.json: `model_max_length`"))
    }

    fn truncation_direction(&self) -> TruncationDirection {
        match self.tokenizer.get("truncation_side").and_then(Value::as_str) {
            Some("left") => TruncationDirection::Left,
            _ => TruncationDirection::Right,
        }
    }

    fn lowercases(&self) -> bool {
        self.is_sentence_transformer
            && self.sentence.get("do_lower_case") == Some(&Value::Bool(true))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(
        sentence: Value,
        tokenizer: Value,
        is_sentence_transformer: bool,
    ) -> FolderSettings {
        FolderSettings { is_sentence_transformer, sentence, tokenizer, positions: 512 }
    }

    /// The rules of sentence-transformers 6.2 (`Transformer.__init__`) and transformers 5.23
    /// (`truncation=True`), read in their sources.
    #[test]
    fn the_longest_row_follows_the_folder() {
        let sentence = || json!({"max_seq_length": 256});
        let tokenizer = || json!({"model_max_length": 384});
        let length = |settings: FolderSettings, asked| settings.max_length(asked).tokens;
        assert_eq!(length(settings(sentence(), tokenizer(), true), None), 256);
        assert_eq!(length(settings(sentence(), tokenizer(), false), None), 384);
        assert_eq!(length(settings(json!({"max_seq_length": null}), tokenizer(), true), None), 384);
        let endless = json!({"model_max_length": 1_000_000_000_000_000_019_884_624_838_656f64});
        assert_eq!(length(settings(Value::Null, endless, false), None), 512);
        assert_eq!(length(settings(sentence(), tokenizer(), true), Some(100)), 100);
        assert_eq!(length(settings(sentence(), tokenizer(), true), Some(1024)), 512);
    }
}
