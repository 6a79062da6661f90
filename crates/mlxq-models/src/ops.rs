//! The coarse operations that models are written against: one call is one kernel worth dispatching.
//!
//! Activations are `[tokens, width]`: all rows of a batch end to end, without padding. Fused and
//! quantized forms are the implementation's matter.

use crate::ModelError;

/// The token rows of one batch, end to end.
#[derive(Debug, Clone, Copy)]
pub struct Tokens<'a> {
    /// Token ids, `[tokens]`.
    pub ids: &'a [u32],
    /// Segments, `[tokens]`.
    pub type_ids: &'a [u32],
    /// Start of each row and the end of the last, `[rows + 1]`.
    pub offsets: &'a [usize],
}

impl Tokens<'_> {
    /// The place of each token in its row, counted from `first`, `[tokens]`.
    pub fn positions(&self, first: u32) -> Vec<u32> {
        let lengths = self.offsets.windows(2).map(|row| (row[1] - row[0]) as u32);
        lengths.flat_map(|length| first..first + length).collect()
    }
}

/// A function applied to every element of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// None.
    Identity,
    /// GELU with the error function.
    Gelu,
    /// GELU with tanh.
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `x * sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// The activation that transformers calls `name` in `hidden_act`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_python_tanh" => Self::GeluTanh,
            "relu" => Self::Relu,
            "silu" | "swish" => Self::Silu,
            "tanh" => Self::Tanh,
            "linear" => Self::Identity,
            _ => return None,
        })
    }
}

/// How tokens attend to the tokens of their row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionSpec {
    /// Number of heads, which divides the width.
    pub heads: usize,
    /// Factor of the scores before softmax.
    pub scale: f32,
}

/// How the token vectors of a row become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token's.
    Cls,
    /// The largest of each element.
    Max,
    /// The mean.
    Mean,
    /// The sum divided by the square root of the number of tokens.
    MeanSqrtLength,
    /// The mean weighted by 1, 2, 3 … from the first token on.
    WeightedMean,
    /// The last token's.
    LastToken,
}

/// The operations of one engine.
pub trait Ops: Send + Sync {
    /// Activations, `[tokens, width]` or `[rows, width]`.
    type Tensor;
    /// A linear layer's parameters.
    type Linear: Send + Sync;
    /// A table's rows.
    type Embedding: Send + Sync;
    /// A LayerNorm's parameters.
    type Norm: Send + Sync;

    /// The rows `ids` of a table: `[ids.len(), width]`. The ids lie inside the table.
    fn embed(&self, table: &Self::Embedding, ids: &[u32]) -> Self::Tensor;

    /// `x + y`, of equal shapes.
    fn add(&self, x: Self::Tensor, y: &Self::Tensor) -> Self::Tensor;

    /// `activation(x weight^T + bias)`: `[tokens, out]`.
    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &Self::Linear,
        activation: Activation,
    ) -> Self::Tensor;

    /// LayerNorm of every token's vector.
    fn layer_norm(&self, x: Self::Tensor, norm: &Self::Norm) -> Self::Tensor;

    /// Multi-head attention within each row.
    fn attention(
        &self,
        query_key_value: [&Self::Tensor; 3],
        offsets: &[usize],
        spec: &AttentionSpec,
    ) -> Self::Tensor;

    /// One vector per row, the results of several poolings side by side: `[rows, modes * width]`.
    fn pool(&self, x: &Self::Tensor, offsets: &[usize], modes: &[Pooling]) -> Self::Tensor;

    /// Every row divided by its Euclidean length.
    fn normalize(&self, x: Self::Tensor) -> Self::Tensor;
}

/// Where a model's parameters come from, by module path.
pub trait Weights<O: Ops> {
    /// The table `path.weight [rows, width]`.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    fn embedding(&self, path: &str, shape: [usize; 2]) -> Result<O::Embedding, ModelError>;

    /// The layer `path.weight [out, in]` with `path.bias [out]`, if there is a bias.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    fn linear(&self, path: &str, shape: [usize; 2]) -> Result<O::Linear, ModelError>;

    /// The LayerNorm `path.weight [width]`, `path.bias [width]`.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    fn norm(&self, path: &str, width: usize, epsilon: f32) -> Result<O::Norm, ModelError>;
}

/// A place in the tree of a model's modules, from which parameters are taken by relative paths.
pub struct Scope<'a, O: Ops> {
    weights: &'a dyn Weights<O>,
    path: String,
}

impl<'a, O: Ops> Scope<'a, O> {
    /// The root of the tree.
    pub fn root(weights: &'a dyn Weights<O>) -> Self {
        Self { weights, path: String::new() }
    }

    /// The module `name` under this one.
    pub fn at(&self, name: &str) -> Self {
        Self { weights: self.weights, path: self.join(name) }
    }

    /// See [`Weights::embedding`].
    ///
    /// # Errors
    /// As there.
    pub fn embedding(&self, name: &str, shape: [usize; 2]) -> Result<O::Embedding, ModelError> {
        self.weights.embedding(&self.join(name), shape)
    }

    /// See [`Weights::linear`].
    ///
    /// # Errors
    /// As there.
    pub fn linear(&self, name: &str, shape: [usize; 2]) -> Result<O::Linear, ModelError> {
        self.weights.linear(&self.join(name), shape)
    }

    /// See [`Weights::norm`].
    ///
    /// # Errors
    /// As there.
    pub fn norm(&self, name: &str, width: usize, epsilon: f32) -> Result<O::Norm, ModelError> {
        self.weights.norm(&self.join(name), width, epsilon)
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// A model that turns tokens into vectors.
pub trait Encoder<O: Ops>: Send + Sync {
    /// The last hidden state of every token, `[tokens, hidden]`.
    fn hidden(&self, ops: &O, tokens: &Tokens) -> O::Tensor;

    /// The head's scores of every row, `[rows, labels]`; `None` for a model without a head.
    fn logits(&self, ops: &O, hidden: &O::Tensor, tokens: &Tokens) -> Option<O::Tensor>;
}
