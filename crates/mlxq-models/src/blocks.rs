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
    pub(crate) feed_forward: FeedForward<O>,
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
        let attended = self.attention.forward(ops, &x, offsets, relative);
        drop(x);
        self.feed_forward.forward(ops, &attended)
    }
}

/// The layers that make queries, keys and values; those that read the same input are one.
pub(crate) enum Projections<O: Ops> {
    /// All of one input.
    Together(O::Linear),
    /// Queries and keys of one input, values of another; or queries and keys are wanted alone.
    QueryKey { query_key: O::Linear, value: O::Linear },
    /// Queries of one input, keys and values of another.
    KeyValue { query: O::Linear, key_value: O::Linear },
}

impl<O: Ops> Projections<O> {
    /// Loads the modules `[query, key, value]`, all of them `width` wide, for one input.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load_together(
        scope: &Scope<O>,
        names: [&str; 3],
        width: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self::Together(scope.stacked(&names, [width, width])?))
    }

    /// The same, for queries and keys of one input `width` wide and values of one `value_input` wide.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn load_query_key(
        scope: &Scope<O>,
        [query, key, value]: [&str; 3],
        width: usize,
        value_input: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self::QueryKey {
            query_key: scope.stacked(&[query, key], [width, width])?,
            value: scope.linear(value, [width, value_input])?,
        })
    }

    /// The same, for queries of one input, keys and values of another.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn load_key_value(
        scope: &Scope<O>,
        [query, key, value]: [&str; 3],
        width: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self::KeyValue {
            query: scope.linear(query, [width, width])?,
            key_value: scope.stacked(&[key, value], [width, width])?,
        })
    }

    /// Queries and keys alone.
    pub(crate) fn query_key(&self, ops: &O, x: &O::Tensor) -> [O::Tensor; 2] {
        match self {
            Self::QueryKey { query_key, .. } => {
                ops.split(ops.linear(x, query_key, Activation::Identity))
            }
            _ => {
                let [query, key, _] = self.forward(ops, [x, x]);
                [query, key]
            }
        }
    }

    /// Queries, keys and values, for the inputs of the first and of the last, which may be one.
    pub(crate) fn forward(&self, ops: &O, [first, last]: [&O::Tensor; 2]) -> [O::Tensor; 3] {
        let project = |x, layer| ops.linear(x, layer, Activation::Identity);
        match self {
            Self::Together(layer) => ops.split(project(first, layer)),
            Self::QueryKey { query_key, value } => {
                let [query, key] = ops.split(project(first, query_key));
                [query, key, project(last, value)]
            }
            Self::KeyValue { query, key_value } => {
                let [key, value] = ops.split(project(last, key_value));
                [project(first, query), key, value]
            }
        }
    }
}

/// `norm(x + output(attention(query x, key y, value y)))`, where `y` is `x` in self-attention.
pub(crate) struct Attention<O: Ops> {
    pub(crate) projections: Projections<O>,
    output: O::Linear,
    norm: O::Norm,
    spec: AttentionSpec,
}

impl<O: Ops> Attention<O> {
    /// Loads the modules `[query, key, value, output, norm]` of self-attention, all of the layer's
    /// width.
    ///
    /// # Errors
    /// When one is missing or of another shape.
    pub(crate) fn load(
        scope: &Scope<O>,
        [query, key, value, output, norm]: [&str; 5],
        shape: &LayerShape,
    ) -> Result<Self, ModelError> {
        let projections = Projections::load_together(scope, [query, key, value], shape.width)?;
        Self::behind(projections, scope, [output, norm], shape)
    }

    /// Loads the modules `[output, norm]` behind projections.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn behind(
        projections: Projections<O>,
        scope: &Scope<O>,
        [output, norm]: [&str; 2],
        shape: &LayerShape,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            projections,
            output: scope.linear(output, [shape.width, shape.width])?,
            norm: scope.norm(norm, shape.width, shape.norm)?,
            spec: shape.attention,
        })
    }

    /// Self-attention.
    pub(crate) fn forward(
        &self,
        ops: &O,
        x: &O::Tensor,
        offsets: &[usize],
        relative: Option<&Relative<O::Tensor>>,
    ) -> O::Tensor {
        self.attend(ops, [x, x], offsets, relative)
    }

    /// Attention of `x` to `other`, whose rows are as long.
    pub(crate) fn forward_to(
        &self,
        ops: &O,
        x: &O::Tensor,
        other: &O::Tensor,
        offsets: &[usize],
    ) -> O::Tensor {
        self.attend(ops, [x, other], offsets, None)
    }

    fn attend(
        &self,
        ops: &O,
        inputs: [&O::Tensor; 2],
        offsets: &[usize],
        relative: Option<&Relative<O::Tensor>>,
    ) -> O::Tensor {
        let projected = self.projections.forward(ops, inputs);
        let attended = ops.attention(projected.each_ref(), offsets, &self.spec, relative);
        drop(projected);
        let sum = ops.linear_add(&attended, &self.output, Activation::Identity, inputs[0]);
        ops.norm(&sum, &self.norm)
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

    pub(crate) fn forward(&self, ops: &O, x: &O::Tensor) -> O::Tensor {
        let inner = ops.linear(x, &self.inner, self.activation);
        ops.norm(&ops.linear_add(&inner, &self.output, Activation::Identity, x), &self.norm)
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
