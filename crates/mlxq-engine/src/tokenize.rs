//! Texts to token ids, as the Python library that the folder belongs to would make them.
//!
//! A `tokenizer.json` may carry truncation and padding settings of its own; they are replaced. The
//! longest row follows sentence-transformers' rule where the folder has a `modules.json`, and
//! transformers' otherwise. `model_input_names` decides about segments, as in transformers.

use std::path::Path;

use mlxq_checkpoint::json;
use mlxq_models::Config;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::{
    PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy, truncate_encodings,
};

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

/// Which text of a pair that is too long gets cut, by transformers' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truncation {
    /// `longest_first`: the longer one, then both.
    LongestFirst,
    /// `only_first`: never the second.
    OnlyFirst,
}

/// A folder's tokenizer.
pub struct Tokenizer {
    /// Without truncation of its own: see [`Self::encode`].
    inner: tokenizers::Tokenizer,
    truncation: TruncationParams,
    max_length: MaxLength,
    has_segments: bool,
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
        let special = special_tokens(&inner, true);
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
        inner.with_truncation(None).map_err(|error| refuse(error.to_string()))?;
        inner.with_padding(None);
        if settings.lowercases() {
            lowercase_first(&mut inner).map_err(|error| refuse(error.to_string()))?;
        }
        let has_segments = settings.has_segments(dir)?;
        Ok(Self { inner, truncation, max_length, has_segments })
    }

    /// The same tokenizer, cutting pairs by `truncation` instead of [`Truncation::LongestFirst`].
    #[must_use]
    pub fn cutting(mut self, truncation: Truncation) -> Self {
        self.truncation.strategy = match truncation {
            Truncation::LongestFirst => TruncationStrategy::LongestFirst,
            Truncation::OnlyFirst => TruncationStrategy::OnlyFirst,
        };
        self
    }

    /// The longest row, and what decided it.
    pub fn max_length(&self) -> &MaxLength {
        &self.max_length
    }

    /// How many tokens a text may have beside its second, `pair`, and the special tokens.
    ///
    /// # Errors
    /// When the tokenizer cannot encode the text.
    pub fn room_beside(&self, pair: &str) -> Result<usize, EngineError> {
        let encoded = self.inner.encode_fast(pair, false).map_err(not_encoded)?;
        let taken = special_tokens(&self.inner, true) + encoded.len();
        Ok(self.max_length.tokens.saturating_sub(taken))
    }

    /// Token ids of a text, or of a pair, with special tokens; longer inputs are cut, pairs from the
    /// longer text first, or as [`Self::cutting`] says.
    ///
    /// # Errors
    /// When the tokenizer cannot encode the text, or the second of a pair that must not be cut leaves
    /// the first no token.
    pub fn encode(&self, text: &str, pair: Option<&str>) -> Result<Encoding, EngineError> {
        let part = |text: &str| self.inner.encode_fast(text, false).map_err(not_encoded);
        let first = part(text)?;
        let mut second = pair.map(part).transpose()?;
        let second_length = second.as_ref().map_or(0, |second| second.len());
        if let Some(second) = &mut second {
            second.set_type_ids(vec![1; second_length]);
        }
        // The library's own truncation stops reading each text at the limit, and then no longer knows
        // which of a pair was the longer.
        let special = special_tokens(&self.inner, pair.is_some());
        let room = self.truncation.max_length.saturating_sub(special);
        let truncated = first.len() + second_length > room;
        let params = TruncationParams { max_length: room, ..self.truncation.clone() };
        let (first, second) = truncate_encodings(first, second, &params).map_err(not_encoded)?;
        let encoded = self.inner.post_process(first, second, true).map_err(not_encoded)?;
        let type_ids = encoded.get_type_ids();
        Ok(Encoding {
            ids: encoded.get_ids().to_vec(),
            type_ids: if self.has_segments { type_ids.to_vec() } else { vec![0; type_ids.len()] },
            truncated,
        })
    }
}

/// Tokens that are put around a text, or around a pair.
fn special_tokens(tokenizer: &tokenizers::Tokenizer, is_pair: bool) -> usize {
    tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(is_pair))
}

fn not_encoded(error: tokenizers::Error) -> EngineError {
    EngineError::Tokenizer { path: "tokenizer.json".into(), reason: error.to_string() }
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

    /// Whether the model is given the segments of its tokens; otherwise they are all 0.
    fn has_segments(&self, dir: &Path) -> Result<bool, EngineError> {
        let Some(value) = self.tokenizer.get("model_input_names") else {
            return Ok(true);
        };
        let names = value.as_array().filter(|names| names.iter().all(Value::is_string));
        let names = names.ok_or_else(|| EngineError::Tokenizer {
            path: dir.join("tokenizer_config.json"),
            reason: "`model_input_names` is no list of names".to_owned(),
        })?;
        Ok(names.iter().any(|name| name == "token_type_ids"))
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

    /// A copy of a tiny classifier's folder, with `more` in its `tokenizer_config.json`.
    fn folder(more: &Value) -> tempfile::TempDir {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tiny-bert-classify");
        let to = tempfile::tempdir().expect("a folder");
        for name in ["config.json", "tokenizer.json"] {
            std::fs::copy(from.join(name), to.path().join(name)).expect("a copy");
        }
        std::fs::write(to.path().join("tokenizer_config.json"), more.to_string()).expect("a file");
        to
    }

    /// By hand: of ten tokens three are special. `one` is 69, `two` 70, `[CLS]` 2, `[SEP]` 3.
    #[test]
    fn pairs_are_cut_as_asked() {
        let folder = folder(&json!({"model_max_length": 10}));
        let open = || Tokenizer::open(folder.path(), None).expect("a tokenizer");
        let encode = |tokenizer: &Tokenizer, first: usize, second: usize| {
            let (first, second) = ("one ".repeat(first), "two ".repeat(second));
            let encoding = tokenizer.encode(&first, Some(&second)).expect("a pair");
            let count = |id: u32| encoding.ids.iter().filter(|x| **x == id).count();
            (count(69), count(70), encoding.truncated)
        };
        let longest_first = open();
        for ((first, second), expected) in [
            ((3, 4), (3, 4, false)),
            ((9, 2), (5, 2, true)),
            ((2, 9), (2, 5, true)),
            ((9, 9), (3, 4, true)),
        ] {
            assert_eq!(encode(&longest_first, first, second), expected, "{first} {second}");
        }
        let only_first = open().cutting(Truncation::OnlyFirst);
        for ((first, second), expected) in [
            ((3, 4), (3, 4, false)),
            ((9, 2), (5, 2, true)),
            ((9, 6), (1, 6, true)),
            ((1, 6), (1, 6, false)),
        ] {
            assert_eq!(encode(&only_first, first, second), expected, "{first} {second}");
        }
        for (tokens, room) in [(0, 7), (6, 1), (7, 0), (50, 0)] {
            let pair = "two ".repeat(tokens);
            assert_eq!(only_first.room_beside(&pair).expect("a text"), room);
            assert_eq!(only_first.encode("one one", Some(&pair)).is_ok(), room > 0);
        }
    }

    /// As transformers 5.23, which gives the model no segments it is not said to take.
    #[test]
    fn model_input_names_decide_about_segments() {
        let segments = |more: &Value| {
            let folder = folder(more);
            let tokenizer = Tokenizer::open(folder.path(), None).map_err(|e| e.to_string())?;
            Ok(tokenizer.encode("one", Some("two")).expect("a pair").type_ids)
        };
        let (both, none) = (Ok::<_, String>(vec![0, 0, 0, 1, 1]), Ok(vec![0; 5]));
        assert_eq!(segments(&json!({})), both);
        let names = json!({"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]});
        assert_eq!(segments(&names), both);
        let names = json!({"model_input_names": ["input_ids", "attention_mask"]});
        assert_eq!(segments(&names), none);
        for wrong in [json!(null), json!("input_ids"), json!([1])] {
            let error = segments(&json!({"model_input_names": wrong})).expect_err("refused");
            assert!(error.contains("tokenizer_config.json`: `model_input_names`"), "{error}");
        }
    }
}
