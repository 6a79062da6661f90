//! The models there are: one line each.

use mlxq_checkpoint::layout::Layout;

use crate::{Config, Encoder, ModelError, Ops, Scope};

/// What is known of a model before its weights are read.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// The checkpoint's modules and names.
    pub layout: &'static Layout,
    /// Number of layers: how often each `{i}` of the layout stands.
    pub layers: usize,
    /// The longest row of tokens.
    pub max_tokens: usize,
    /// Number of token ids.
    pub vocabulary: usize,
    /// Number of segments, at least 1.
    pub token_types: usize,
}

macro_rules! models {
    ($($module:ident: [$($model_type:literal),+];)+) => {
        $(mod $module;)+

        /// All `model_type`s that can be converted and run.
        pub const KNOWN_TYPES: &[&str] = &[$($($model_type),+),+];

        /// What the model type and configuration imply.
        ///
        /// # Errors
        /// When the type is unknown or a setting is not supported.
        pub fn describe(model_type: &str, config: Config) -> Result<Description, ModelError> {
            match model_type {
                $($($model_type)|+ => $module::describe(config),)+
                other => Err(unknown(other)),
            }
        }

        /// Builds the model from its weights; `labels` is the size of its classification head.
        ///
        /// # Errors
        /// When the type is unknown, a setting is not supported, or weights are missing.
        pub fn build<O: Ops + 'static>(
            model_type: &str,
            config: Config,
            labels: Option<usize>,
            scope: &Scope<O>,
        ) -> Result<Box<dyn Encoder<O>>, ModelError> {
            match model_type {
                $($($model_type)|+ => Ok(Box::new($module::build(config, labels, scope)?)),)+
                other => Err(unknown(other)),
            }
        }
    };
}

models! {
    bert: ["bert"];
}

fn unknown(found: &str) -> ModelError {
    ModelError::UnknownType { found: found.to_owned(), known: KNOWN_TYPES.join(", ") }
}
