//! The parts that the encoder families share: attention and feed-forward with the norm behind the sum
//! (Vaswani et al. 2017), and the head on one vector per row.
//!
//! A family gives its own names for the modules, in the order that each part states.

use crate::{Activation, AttentionSpec, ModelError, NormKind, Ops, Relative, Scope};

/// The measures of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LayerShape {
    /// Width of a token's vector.
    pub(crate) width: usize,
    /// Width inside the feed-forward part.
    pub(crate) inner: usize,
    /// The attention, whose heads divide `width`.
    pub(crate) attention: AttentionSpec,
    /// Both norms.
    pub(crate) norm: NormKind,
    /// The function inside the feed-forward part.
    pub(crate) activation: Activation,
}

/// Self-attention, then feed-forward.
pub(crate) struct Layer<O: Ops> {
    pub(crate) attention: Attention<O>,
    feed_forward: FeedForward<O>,
}

impl<O: Ops> Layer<O> {
    /// Loads the modules by the names of [`Attention::load`] and [`FeedForward::load`].
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load(
        scope: &Scope<O>,
        attention: [&str; 5],
        feed_forward: [&str; 3],
        shape: &LayerShape,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            attention: Attention::load(scope, attention, shape)?,
            feed_forward: FeedForward::load(scope, feed_forward, shape)?,
        })
    }

    pub(crate) fn forward(
        &self,
        ops: &O,
        x: O::Tensor,
        offsets: &[usize],
        relative: Option<&Relative<O::Tensor>>,
    ) -> O::Tensor {
        let attended = self.attention.forward(ops, x, offsets, relative);
        self.feed_forward.forward(ops, attended)
    }
}

/// `norm(x + output(attention(query x, key y, value y)))`, where `y` is `x` in self-attention.
pub(crate) struct Attention<O: Ops> {
    pub(crate) query: O::Linear,
    pub(crate) key: O::Linear,
    value: O::Linear,
    output: O::Linear,
    norm: O::Norm,
    spec: AttentionSpec,
}

impl<O: Ops> Attention<O> {
    /// Loads the modules `[query, key, value, output, norm]`, all of the layer's width.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load(
        scope: &Scope<O>,
        [query, key, value, output, norm]: [&str; 5],
        shape: &LayerShape,
    ) -> Result<Self, ModelError> {
        let width = shape.width;
        let square = |name| scope.linear(name, [width, width]);
        Ok(Self {
            query: square(query)?,
            key: square(key)?,
            value: square(value)?,
            output: square(output)?,
            norm: scope.norm(norm, width, shape.norm)?,
            spec: shape.attention,
        })
    }

    /// Self-attention.
    pub(crate) fn forward(
        &self,
        ops: &O,
        x: O::Tensor,
        offsets: &[usize],
        relative: Option<&Relative<O::Tensor>>,
    ) -> O::Tensor {
        let attended = self.attend(ops, [&x, &x], offsets, relative);
        ops.norm(&ops.add(attended, &x), &self.norm)
    }

    /// Attention of `x` to `other`, whose rows are as long.
    pub(crate) fn forward_to(
        &self,
        ops: &O,
        x: O::Tensor,
        other: &O::Tensor,
        offsets: &[usize],
    ) -> O::Tensor {
        let attended = self.attend(ops, [&x, other], offsets, None);
        ops.norm(&ops.add(attended, &x), &self.norm)
    }

    fn attend(
        &self,
        ops: &O,
        [x, other]: [&O::Tensor; 2],
        offsets: &[usize],
        relative: Option<&Relative<O::Tensor>>,
    ) -> O::Tensor {
        let query = ops.linear(x, &self.query, Activation::Identity);
        let key = ops.linear(other, &self.key, Activation::Identity);
        let value = ops.linear(other, &self.value, Activation::Identity);
        let attended = ops.attention([&query, &key, &value], offsets, &self.spec, relative);
        ops.linear(&attended, &self.output, Activation::Identity)
    }
}

/// `norm(x + output(activation(inner x)))`.
pub(crate) struct FeedForward<O: Ops> {
    inner: O::Linear,
    output: O::Linear,
    norm: O::Norm,
    activation: Activation,
}

impl<O: Ops> FeedForward<O> {
    /// Loads the modules `[inner, output, norm]`.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load(
        scope: &Scope<O>,
        [inner, output, norm]: [&str; 3],
        shape: &LayerShape,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            inner: scope.linear(inner, [shape.inner, shape.width])?,
            output: scope.linear(output, [shape.width, shape.inner])?,
            norm: scope.norm(norm, shape.width, shape.norm)?,
            activation: shape.activation,
        })
    }

    pub(crate) fn forward(&self, ops: &O, x: O::Tensor) -> O::Tensor {
        let inner = ops.linear(&x, &self.inner, self.activation);
        let output = ops.linear(&inner, &self.output, Activation::Identity);
        ops.norm(&ops.add(output, &x), &self.norm)
    }
}

/// `output(activation(dense x))` of one vector per row: `[rows, labels]`.
pub(crate) struct Head<O: Ops> {
    dense: O::Linear,
    output: O::Linear,
    activation: Activation,
}

impl<O: Ops> Head<O> {
    /// Loads the modules `[dense, output]` for vectors of `width`.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load(
        scope: &Scope<O>,
        [dense, output]: [&str; 2],
        [width, labels]: [usize; 2],
        activation: Activation,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            dense: scope.linear(dense, [width, width])?,
            output: scope.linear(output, [labels, width])?,
            activation,
        })
    }

    pub(crate) fn forward(&self, ops: &O, x: &O::Tensor) -> O::Tensor {
        let dense = ops.linear(x, &self.dense, self.activation);
        ops.linear(&dense, &self.output, Activation::Identity)
    }
}
