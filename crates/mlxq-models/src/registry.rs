//! The models there are: one line each.

use mlxq_checkpoint::layout::Layout;

use crate::{Config, Encoder, ModelError, Ops, Scope};

/// What is known of a model that runs, before its weights are read.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The checkpoint's modules and names.
    pub layout: &'static Layout,
    /// The longest row of tokens.
    pub max_tokens: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// Number of segments, at least 1; `None` for a model that passes them over.
    pub token_types: Option<usize>,
    /// A token that every row must hold.
    pub needs_token: Option<u32>,
    /// Number of labels where the configuration says nothing.
    pub default_labels: usize,
}

impl Description {
    /// A model of that layout and number of token ids, without limits, segments or needs.
    fn new(layout: &'static Layout, vocabulary: usize) -> Self {
        Self {
            layout,
            max_tokens: usize::MAX,
            vocabulary,
            token_types: None,
            needs_token: None,
            default_labels: 2,
        }
    }
}

macro_rules! models {
    (
        run { $($running:ident: [$($running_type:literal),+];)+ }
        convert { $($converting:ident: [$($converting_type:literal),+];)+ }
    ) => {
        $(mod $running;)+
        $(mod $converting;)+

        /// All `model_type`s that can be converted and run.
        pub const KNOWN_TYPES: &[&str] = &[$($($running_type),+),+];

        /// All `model_type`s that have a layout of their own, but cannot be run yet.
        pub const CONVERTED_TYPES: &[&str] = &[$($($converting_type),+),+];

        /// The layout of a model type; `None` for one that is converted by its tensors' shapes.
        pub fn layout(model_type: &str) -> Option<&'static Layout> {
            match model_type {
                $($($running_type)|+ => Some(&$running::LAYOUT),)+
                $($($converting_type)|+ => Some(&$converting::LAYOUT),)+
                _ => None,
            }
        }

        /// What the model type and configuration imply.
        ///
        /// # Errors
        /// When the type cannot be run or a setting is not supported.
        pub fn describe(model_type: &str, config: Config) -> Result<Description, ModelError> {
            match model_type {
                $($($running_type)|+ => $running::describe(config),)+
                other => Err(unknown(other)),
            }
        }

        /// Builds the model from its weights; `labels` is the size of its classification head.
        ///
        /// # Errors
        /// When the type cannot be run, a setting is not supported, or weights are missing.
        pub fn build<O: Ops + 'static>(
            model_type: &str,
            config: Config,
            labels: Option<usize>,
            scope: &Scope<O>,
        ) -> Result<Box<dyn Encoder<O>>, ModelError> {
            match model_type {
                $($($running_type)|+ => Ok(Box::new($running::build(config, labels, scope)?)),)+
                other => Err(unknown(other)),
            }
        }
    };
}

models! {
    run {
        bert: ["bert"];
        roberta: ["roberta"];
        xlm_roberta: ["xlm-roberta"];
        distilbert: ["distilbert"];
        mpnet: ["mpnet"];
        mobilebert: ["mobilebert"];
        deberta_v2: ["deberta-v2"];
        modernbert: ["modernbert"];
        bart: ["bart"];
    }
    convert {
        llama: ["llama", "mistral"];
        qwen2: ["qwen2"];
        qwen3: ["qwen3"];
        gemma: ["gemma"];
        gemma2: ["gemma2"];
        gemma3_text: ["gemma3_text"];
        phi: ["phi"];
        phi3: ["phi3"];
        gpt2: ["gpt2"];
        gpt_neox: ["gpt_neox"];
        olmo2: ["olmo2"];
        cohere: ["cohere"];
        granite: ["granite"];
        granitemoe: ["granitemoe"];
        smollm3: ["smollm3"];
        starcoder2: ["starcoder2"];
        stablelm: ["stablelm"];
        mixtral: ["mixtral"];
        qwen2_moe: ["qwen2_moe"];
        qwen3_moe: ["qwen3_moe"];
        deepseek_v2: ["deepseek_v2"];
    }
}

fn unknown(found: &str) -> ModelError {
    ModelError::UnknownType { found: found.to_owned(), known: KNOWN_TYPES.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_layout() {
        let all: Vec<_> = KNOWN_TYPES.iter().chain(CONVERTED_TYPES).collect();
        assert!(all.iter().all(|name| layout(name).is_some()));
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(layout("no_such_type").is_none());
    }
}
