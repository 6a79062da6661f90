//! A checkpoint's tensors as the native engine's parameters.

use mlxq_checkpoint::tensor::{Dtype, TensorBytes, TensorInfo, TensorSource};
use mlxq_checkpoint::{CheckpointError, Quantization};
use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::PackedMatrix;
use mlxq_kernels::quant::Format;
use mlxq_models::{ModelError, Weights, expect_shape};

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

    fn linear(&self, path: &str, shape: [usize; 2]) -> Result<Linear, ModelError> {
        let weight = match self.packed(path, shape)? {
            Some(packed) => PackedMatrix::quantized(&packed.stored(), shape[0], shape[1]),
            None => {
                let info = expect_shape(self.source, &format!("{path}.weight"), &shape)?;
                let (float, bytes) = self.bytes(info)?;
                PackedMatrix::of_bytes(float, &bytes, shape[0], shape[1])
            }
        };
        let bias = format!("{path}.bias");
        let bias = match self.source.find(&bias) {
            Some(_) => Some(self.numbers(&bias, &shape[..1])?),
            None => None,
        };
        Ok(Linear { weight, bias })
    }

    fn norm(&self, path: &str, width: usize, epsilon: f32) -> Result<Norm, ModelError> {
        Ok(Norm {
            weight: self.numbers(&format!("{path}.weight"), &[width])?,
            bias: self.numbers(&format!("{path}.bias"), &[width])?,
            epsilon,
        })
    }
}

impl NativeWeights<'_> {
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
