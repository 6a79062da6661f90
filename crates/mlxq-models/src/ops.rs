//! The coarse operations that models are written against: one call is one kernel worth dispatching.
//!
//! Activations are `[tokens, width]`: all rows of a batch end to end, without padding. Fused and
//! quantized forms are the implementation's matter.

use crate::{Activation, AttentionSpec, ModelError, Relative};

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

/// What a normalization does with the vector of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NormKind {
    /// LayerNorm (Ba et al. 2016) with that epsilon, scaled by a weight and shifted by a bias.
    LayerNorm(f32),
    /// The same without a bias.
    LayerNormWithoutBias(f32),
    /// `x * weight + bias`: the `NoNorm` of MobileBERT.
    ScaleAndShift,
}

/// The operations of one engine.
pub trait Ops: Send + Sync {
    /// Activations, `[tokens, width]` or `[rows, width]`. A clone is another handle to the same numbers;
    /// an operation that takes its tensor whole may change it in place where there is no other handle.
    type Tensor: Clone + Send + Sync;
    /// A linear layer's parameters.
    type Linear: Send + Sync;
    /// A table's rows.
    type Embedding: Send + Sync;
    /// A normalization's parameters.
    type Norm: Send + Sync;

    /// The rows `ids` of a table: `[ids.len(), width]`. The ids lie inside the table.
    fn embed(&self, table: &Self::Embedding, ids: &[u32]) -> Self::Tensor;

    /// `x` and the rows `ids` of a table, added: a row for each vector. The ids lie inside the table.
    fn embed_add(&self, x: Self::Tensor, table: &Self::Embedding, ids: &[u32]) -> Self::Tensor;

    /// `x + y`, of equal shapes.
    fn add(&self, x: Self::Tensor, y: &Self::Tensor) -> Self::Tensor;

    /// `x * factor`.
    fn scale(&self, x: Self::Tensor, factor: f32) -> Self::Tensor;

    /// `activation(x weight^T + bias)`: `[tokens, out]`.
    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &Self::Linear,
        activation: Activation,
    ) -> Self::Tensor;

    /// `activation(x weight^T + bias) + residual`: `[tokens, out]`, as the residual is.
    fn linear_add(
        &self,
        x: &Self::Tensor,
        layer: &Self::Linear,
        activation: Activation,
        residual: &Self::Tensor,
    ) -> Self::Tensor;

    /// `activation(a) * b` for the halves `a` and `b` of every token's vector: `[tokens, width / 2]`
    /// (GLU, Shazeer 2020).
    fn gated(&self, x: &Self::Tensor, activation: Activation) -> Self::Tensor;

    /// The normalization of every token's vector.
    fn norm(&self, x: &Self::Tensor, norm: &Self::Norm) -> Self::Tensor;

    /// Multi-head attention within each row, `[tokens, width]` for queries, keys and values alike;
    /// the rows of keys and values lie at the same `offsets` as those of the queries.
    fn attention(
        &self,
        query_key_value: [&Self::Tensor; 3],
        offsets: &[usize],
        spec: &AttentionSpec,
        relative: Option<&Relative<Self::Tensor>>,
    ) -> Self::Tensor;

    /// The cosines, then the sines of rotary position embeddings (Su et al. 2021), each
    /// `[positions, head_size / 2]`: of `position * base^(-2 i / head_size)`.
    fn rotary_angles(&self, positions: &[u32], head_size: usize, base: f32) -> Self::Tensor;

    /// Every head's vector of every token turned by the token's `angles`, element `i` with element
    /// `i + head_size / 2`.
    fn rotate(&self, x: Self::Tensor, angles: &Self::Tensor) -> Self::Tensor;

    /// The vectors cut into `N` equal parts, each `[tokens, width / N]`: views, no copies, such as
    /// [`Self::attention`] and [`Self::rotate`] take.
    fn split<const N: usize>(&self, x: Self::Tensor) -> [Self::Tensor; N];

    /// Beside each other the vectors of the tokens so many places further in the row, 0 where the row
    /// ends: `[tokens, shifts.len() * width]`.
    fn neighbours(&self, x: &Self::Tensor, offsets: &[usize], shifts: &[isize]) -> Self::Tensor;

    /// The vectors at `places`, `[places.len(), width]`.
    fn select(&self, x: &Self::Tensor, places: &[u32]) -> Self::Tensor;

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

    /// The layer `path.weight [out, in]`, and `path.bias [out]` if `bias` says so.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    fn linear(&self, path: &str, shape: [usize; 2], bias: bool) -> Result<O::Linear, ModelError>;

    /// The layers `path.weight [out, in]` with `path.bias [out]` of all `paths` as one: their weights
    /// and biases below each other, `[paths.len() * out, in]`, so that its results are theirs side by
    /// side. [`Ops::split`] takes them apart.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    fn stacked(&self, paths: &[String], shape: [usize; 2]) -> Result<O::Linear, ModelError>;

    /// The convolution `path.weight [out, in / groups, kernel]` with `path.bias [out]` as a layer over
    /// neighbours: its inputs are the vectors of the tokens under the kernel, from the first on,
    /// `[tokens, kernel * in]`. `groups` divides `out`.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    fn convolution(
        &self,
        path: &str,
        shape: [usize; 3],
        groups: usize,
    ) -> Result<O::Linear, ModelError>;

    /// The normalization `path.weight [width]`, with `path.bias [width]` if its kind has one.
    ///
    /// # Errors
    /// When it is missing or of another shape.
    fn norm(&self, path: &str, width: usize, kind: NormKind) -> Result<O::Norm, ModelError>;
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

    /// See [`Weights::linear`]; with a bias.
    ///
    /// # Errors
    /// As there.
    pub fn linear(&self, name: &str, shape: [usize; 2]) -> Result<O::Linear, ModelError> {
        self.linear_if(name, shape, true)
    }

    /// See [`Weights::linear`].
    ///
    /// # Errors
    /// As there.
    pub fn linear_if(
        &self,
        name: &str,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<O::Linear, ModelError> {
        self.weights.linear(&self.join(name), shape, bias)
    }

    /// See [`Weights::stacked`].
    ///
    /// # Errors
    /// As there.
    pub fn stacked(&self, names: &[&str], shape: [usize; 2]) -> Result<O::Linear, ModelError> {
        let paths: Vec<String> = names.iter().map(|name| self.join(name)).collect();
        self.weights.stacked(&paths, shape)
    }

    /// See [`Weights::convolution`].
    ///
    /// # Errors
    /// As there.
    pub fn convolution(
        &self,
        name: &str,
        shape: [usize; 3],
        groups: usize,
    ) -> Result<O::Linear, ModelError> {
        self.weights.convolution(&self.join(name), shape, groups)
    }

    /// See [`Weights::norm`].
    ///
    /// # Errors
    /// As there.
    pub fn norm(&self, name: &str, width: usize, kind: NormKind) -> Result<O::Norm, ModelError> {
        self.weights.norm(&self.join(name), width, kind)
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
