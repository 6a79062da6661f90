//! What can be wrong with a model's configuration or weights.

/// A model's error; every variant names the key or module.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Models of this `model_type` cannot be run.
    #[error("config.json: models of type `{found}` cannot be run yet; {known} can")]
    UnknownType {
        /// The type found.
        found: String,
        /// The types known, for people.
        known: String,
    },
    /// A setting of the wrong kind or range.
    #[error("config.json: `{key}` is {found}, expected {expected}")]
    Setting {
        /// The key.
        key: String,
        /// The value found.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A setting that changes the computation in a way this program does not have.
    #[error("config.json: `{key}` = {value} is not supported")]
    Unsupported {
        /// The key.
        key: String,
        /// Its value.
        value: String,
    },
    /// A module whose weights do not fit the configuration.
    #[error("`{module}` has the shape {found:?}, the configuration needs {expected:?}")]
    Shape {
        /// The module's path.
        module: String,
        /// The weight's shape.
        found: Vec<usize>,
        /// The shape that the configuration implies.
        expected: Vec<usize>,
    },
    /// A sentence-transformers module that cannot be honoured.
    #[error("{file}: {reason}")]
    Sentence {
        /// The file, relative to the model folder.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A module's weights cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] mlxq_checkpoint::CheckpointError),
}
