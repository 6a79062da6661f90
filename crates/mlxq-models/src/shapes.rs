//! A model built from the shapes of its tensors alone: what does not fit is found before any weight is
//! read.

use mlxq_checkpoint::CheckpointError;
use mlxq_checkpoint::tensor::{TensorInfo, TensorSource};

use crate::{
    Activation, AttentionSpec, Config, ModelError, NormKind, Ops, Pooling, Relative, Scope,
    Weights, registry,
};

/// Checks that every weight of the model is in `source`, under its canonical name and in float, with
/// the shape that `config` implies; `labels` is the size of the classification head.
///
/// # Errors
/// When a weight is missing or has another shape.
pub fn check_shapes(
    model_type: &str,
    config: Config,
    labels: Option<usize>,
    source: &dyn TensorSource,
) -> Result<(), ModelError> {
    let weights = Shapes { source };
    registry::build::<Widths>(model_type, config, labels, &Scope::root(&weights)).map(drop)
}

/// The tensor `name`, which must have `shape`.
///
/// # Errors
/// When it is missing or has another shape.
pub fn expect_shape<'s>(
    source: &'s dyn TensorSource,
    name: &str,
    shape: &[usize],
) -> Result<&'s TensorInfo, ModelError> {
    let info = source.find(name).ok_or_else(|| CheckpointError::missing_tensor(name))?;
    if info.shape != shape {
        return Err(ModelError::Shape {
            module: name.to_owned(),
            found: info.shape.clone(),
            expected: shape.to_vec(),
        });
    }
    Ok(info)
}

struct Shapes<'a> {
    source: &'a dyn TensorSource,
}

impl Shapes<'_> {
    fn expect(&self, path: &str, part: &str, shape: &[usize]) -> Result<(), ModelError> {
        expect_shape(self.source, &format!("{path}.{part}"), shape).map(|_| ())
    }
}

impl Weights<Widths> for Shapes<'_> {
    fn embedding(&self, path: &str, shape: [usize; 2]) -> Result<usize, ModelError> {
        self.expect(path, "weight", &shape)?;
        Ok(shape[1])
    }

    fn linear(&self, path: &str, shape: [usize; 2], bias: bool) -> Result<usize, ModelError> {
        self.expect(path, "weight", &shape)?;
        if bias {
            self.expect(path, "bias", &shape[..1])?;
        }
        Ok(shape[0])
    }

    fn stacked(&self, paths: &[String], shape: [usize; 2]) -> Result<usize, ModelError> {
        paths.iter().map(|path| self.linear(path, shape, true)).sum()
    }

    fn convolution(&self, path: &str, shape: [usize; 3], _: usize) -> Result<usize, ModelError> {
        self.expect(path, "weight", &shape)?;
        self.expect(path, "bias", &shape[..1])?;
        Ok(shape[0])
    }

    fn norm(&self, path: &str, width: usize, kind: NormKind) -> Result<(), ModelError> {
        self.expect(path, "weight", &[width])?;
        match kind {
            NormKind::LayerNormWithoutBias(_) => Ok(()),
            NormKind::LayerNorm(_) | NormKind::ScaleAndShift => self.expect(path, "bias", &[width]),
        }
    }
}

/// Operations on widths instead of numbers.
struct Widths;

impl Ops for Widths {
    type Tensor = usize;
    type Linear = usize;
    type Embedding = usize;
    type Norm = ();

    fn embed(&self, table: &usize, _: &[u32]) -> usize {
        *table
    }

    fn embed_add(&self, x: usize, _: &usize, _: &[u32]) -> usize {
        x
    }

    fn add(&self, x: usize, _: &usize) -> usize {
        x
    }

    fn scale(&self, x: usize, _: f32) -> usize {
        x
    }

    fn linear(&self, _: &usize, layer: &usize, _: Activation) -> usize {
        *layer
    }

    fn linear_add(&self, _: &usize, layer: &usize, _: Activation, _: &usize) -> usize {
        *layer
    }

    fn gated(&self, x: &usize, _: Activation) -> usize {
        x / 2
    }

    fn norm(&self, x: &usize, (): &()) -> usize {
        *x
    }

    fn attention(
        &self,
        [_, _, value]: [&usize; 3],
        _: &[usize],
        _: &AttentionSpec,
        _: Option<&Relative<usize>>,
    ) -> usize {
        *value
    }

    fn rotary_angles(&self, _: &[u32], head_size: usize, _: f32) -> usize {
        head_size
    }

    fn rotate(&self, x: usize, _: &usize) -> usize {
        x
    }

    fn split<const N: usize>(&self, x: usize) -> [usize; N] {
        [x / N; N]
    }

    fn neighbours(&self, x: &usize, _: &[usize], shifts: &[isize]) -> usize {
        x * shifts.len()
    }

    fn select(&self, x: &usize, _: &[u32]) -> usize {
        *x
    }

    fn pool(&self, x: &usize, _: &[usize], modes: &[Pooling]) -> usize {
        x * modes.len()
    }

    fn normalize(&self, x: usize) -> usize {
        x
    }
}
