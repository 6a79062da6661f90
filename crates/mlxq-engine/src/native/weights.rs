//! A checkpoint's tensors as the native engine's parameters.

use std::sync::atomic::{AtomicBool, Ordering};

use mlxq_checkpoint::tensor::{Dtype, TensorBytes, TensorInfo, TensorSource};
use mlxq_checkpoint::{CheckpointError, Quantization};
use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::{Activations, PackedMatrix};
use mlxq_kernels::quant::Format;
use mlxq_models::{ModelError, NormKind, Weights, expect_shape};

use super::ops::{Linear, NativeOps, Norm};
use super::table::{PackedBytes, Table};

/// Parameters read from tensors under their canonical names.
pub(super) struct NativeWeights<'a> {
    /// The tensors, named as the model's layout names them.
    pub(super) source: &'a dyn TensorSource,
    /// How the quantized ones are packed; `None` in an original checkpoint.
    pub(super) quantization: Option<&'a Quantization>,
    /// The prefix that module paths carry in the checkpoint's own names.
    pub(super) prefix: &'a str,
    /// What quantized layers compute with.
    pub(super) activations: Activations,
    /// Whether a linear layer that was read is quantized.
    pub(super) quantized: AtomicBool,
}

impl Weights<NativeOps> for NativeWeights<'_> {
    fn embedding(&self, path: &str, shape: [usize; 2]) -> Result<Table, ModelError> {
        if let Some(packed) = self.packed(path, shape)? {
            return Ok(Table::packed(shape[1], packed));
        }
        let name = format!("{path}.weight");
        let info = expect_shape(self.source, &name, &shape)?;
        let (float, bytes) = self.bytes(info)?;
        Ok(Table::float(shape[1], float, bytes))
    }

    fn linear(&self, path: &str, shape: [usize; 2], bias: bool) -> Result<Linear, ModelError> {
        let weight = match self.packed(path, shape)? {
            Some(packed) => {
                // The other modes are restored and computed in f32.
                let affine = matches!(packed.format, Format::Affine(_));
                self.quantized.fetch_or(affine, Ordering::Relaxed);
                PackedMatrix::quantized(&packed.stored(), shape[0], shape[1], self.activations)
            }
            None => {
                let info = expect_shape(self.source, &format!("{path}.weight"), &shape)?;
                let (float, bytes) = self.bytes(info)?;
                PackedMatrix::of_bytes(float, &bytes, shape[0], shape[1])
            }
        };
        let bias = bias.then(|| self.numbers(&format!("{path}.bias"), &shape[..1])).transpose()?;
        Ok(Linear { weight, bias })
    }

    fn convolution(
        &self,
        path: &str,
        shape: [usize; 3],
        groups: usize,
    ) -> Result<Linear, ModelError> {
        let weight = self.numbers(&format!("{path}.weight"), &shape)?;
        let bias = self.numbers(&format!("{path}.bias"), &shape[..1])?;
        let [output, _, kernel] = shape;
        let matrix = over_neighbours(&weight, shape, groups);
        let input = kernel * shape[1] * groups;
        Ok(Linear { weight: PackedMatrix::new(&matrix, output, input), bias: Some(bias) })
    }

    fn norm(&self, path: &str, width: usize, kind: NormKind) -> Result<Norm, ModelError> {
        let bias = match kind {
            NormKind::LayerNormWithoutBias(_) => Vec::new(),
            NormKind::LayerNorm(_) | NormKind::ScaleAndShift => {
                self.numbers(&format!("{path}.bias"), &[width])?
            }
        };
        Ok(Norm { kind, weight: self.numbers(&format!("{path}.weight"), &[width])?, bias })
    }
}

/// The kernel `weight [out, in / groups, kernel]` of a convolution as a matrix
/// `[out, kernel * in]`, with zeros where an output sees another group.
fn over_neighbours(weight: &[f32], [output, part, kernel]: [usize; 3], groups: usize) -> Vec<f32> {
    let input = part * groups;
    let mut matrix = vec![0.0; output * kernel * input];
    for (place, number) in weight.iter().enumerate() {
        let (out, column, tap) = (place / (part * kernel), place / kernel % part, place % kernel);
        let group = out / (output / groups);
        matrix[(out * kernel + tap) * input + group * part + column] = *number;
    }
    matrix
}

impl NativeWeights<'_> {
    /// What the layers read so far compute with: float32 where none is quantized.
    pub(super) fn activations(&self) -> Activations {
        match self.quantized.load(Ordering::Relaxed) {
            true => self.activations,
            false => Activations::Float32,
        }
    }

    /// The numbers of a float tensor.
    fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let (float, bytes) = self.bytes(expect_shape(self.source, name, shape)?)?;
        let mut numbers = vec![0.0; bytes.len() / float.size()];
        float.decode(&bytes, &mut numbers);
        Ok(numbers)
    }

    /// The format and bytes of a float tensor.
    fn bytes(&self, info: &TensorInfo) -> Result<(Float, TensorBytes), ModelError> {
        let float = info.dtype.float().ok_or_else(|| unsupported(info))?;
        Ok((float, self.source.bytes(&info.name, 0..info.bytes())?))
    }

    /// The quantized matrix at `path`; `None` when it is stored in float.
    fn packed(&self, path: &str, shape: [usize; 2]) -> Result<Option<PackedBytes>, ModelError> {
        let scales = format!("{path}.scales");
        if self.source.find(&scales).is_none() {
            return Ok(None);
        }
        let format = self
            .quantization
            .and_then(|quantization| quantization.module(&format!("{}{path}", self.prefix)))
            .ok_or_else(|| CheckpointError::unexplained_scales(&scales))?;
        let [rows, columns] = shape;
        if !columns.is_multiple_of(format.group_size()) {
            return Err(ModelError::Unsupported {
                key: "quantization".to_owned(),
                value: format!("groups of {} in `{path}` of {shape:?}", format.group_size()),
            });
        }
        let words =
            self.typed(&format!("{path}.weight"), &[rows, format.words(columns)], Dtype::U32)?;
        let groups = [rows, columns / format.group_size()];
        let (float, scales, biases) = match format {
            Format::Affine(_) => {
                let (float, scales) = self.bytes(expect_shape(self.source, &scales, &groups)?)?;
                let biases = self.typed(&format!("{path}.biases"), &groups, float.into())?;
                (float, scales, biases)
            }
            Format::Floating(_) => {
                (Float::F32, self.typed(&scales, &groups, Dtype::U8)?, Vec::new().into())
            }
        };
        Ok(Some(PackedBytes { format, float, words, scales, biases }))
    }

    /// The bytes of a tensor that must have this shape and type.
    fn typed(&self, name: &str, shape: &[usize], dtype: Dtype) -> Result<TensorBytes, ModelError> {
        let info = expect_shape(self.source, name, shape)?;
        if info.dtype != dtype {
            return Err(unsupported(info));
        }
        Ok(self.source.bytes(name, 0..info.bytes())?)
    }
}

/// The error of an element type that cannot be read here.
fn unsupported(info: &TensorInfo) -> ModelError {
    ModelError::Unsupported { key: info.name.clone(), value: format!("{:?}", info.dtype) }
}

#[cfg(test)]
mod tests {
    use super::over_neighbours;

    /// By hand: two outputs in two groups of one input each, a kernel of three.
    #[test]
    fn a_kernel_sees_its_group_alone() {
        let matrix = over_neighbours(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 1, 3], 2);
        assert_eq!(matrix[..6], [1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!(matrix[6..], [0.0, 4.0, 0.0, 5.0, 0.0, 6.0]);
    }
}
