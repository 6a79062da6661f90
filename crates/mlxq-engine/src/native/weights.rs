//! A checkpoint's tensors as the native engine's parameters.

use mlxq_checkpoint::tensor::{Dtype, TensorInfo, TensorSource};
use mlxq_checkpoint::{CheckpointError, Quantization};
use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::PackedMatrix;
use mlxq_kernels::quant::Affine;
use mlxq_models::{ModelError, Weights, expect_shape};

use super::ops::{Linear, NativeOps, Norm};
use super::table::Table;

/// Parameters read from tensors under their canonical names.
pub(super) struct NativeWeights<'a> {
    /// The tensors, named as the model's layout names them.
    pub(super) source: &'a dyn TensorSource,
    /// How the quantized ones are packed; `None` in an original checkpoint.
    pub(super) quantization: Option<&'a Quantization>,
    /// The prefix that module paths carry in the checkpoint's own names.
    pub(super) prefix: &'a str,
}

/// A quantized matrix as stored.
struct Packed {
    affine: Affine,
    words: Vec<u32>,
    scales: Vec<f32>,
    biases: Vec<f32>,
}

impl Weights<NativeOps> for NativeWeights<'_> {
    fn embedding(&self, path: &str, shape: [usize; 2]) -> Result<Table, ModelError> {
        if let Some(packed) = self.packed(path, shape)? {
            let Packed { affine, words, scales, biases } = packed;
            return Ok(Table::affine(shape[1], affine, words, scales, biases));
        }
        let name = format!("{path}.weight");
        let info = expect_shape(self.source, &name, &shape)?;
        let (float, bytes) = self.bytes(info)?;
        Ok(Table::float(shape[1], float, bytes))
    }

    fn linear(&self, path: &str, shape: [usize; 2]) -> Result<Linear, ModelError> {
        let weight = match self.packed(path, shape)? {
            Some(packed) => packed.unpack(shape),
            None => self.numbers(&format!("{path}.weight"), &shape)?,
        };
        let bias = format!("{path}.bias");
        let bias = match self.source.find(&bias) {
            Some(_) => Some(self.numbers(&bias, &shape[..1])?),
            None => None,
        };
        Ok(Linear { weight: PackedMatrix::new(&weight, shape[0], shape[1]), bias })
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
    fn bytes(&self, info: &TensorInfo) -> Result<(Float, Vec<u8>), ModelError> {
        let float = info.dtype.float().ok_or_else(|| ModelError::Unsupported {
            key: info.name.clone(),
            value: format!("{:?}", info.dtype),
        })?;
        let mut bytes = Vec::new();
        self.source.read(&info.name, &mut bytes)?;
        Ok((float, bytes))
    }

    /// The quantized matrix at `path`; `None` when it is stored in float.
    fn packed(&self, path: &str, shape: [usize; 2]) -> Result<Option<Packed>, ModelError> {
        let scales = format!("{path}.scales");
        if self.source.find(&scales).is_none() {
            return Ok(None);
        }
        let words = format!("{path}.weight");
        let affine = self
            .quantization
            .and_then(|quantization| quantization.module(&format!("{}{path}", self.prefix)))
            .ok_or_else(|| CheckpointError::unexplained_scales(&scales))?;
        let [rows, columns] = shape;
        let info = expect_shape(self.source, &words, &[rows, affine.words(columns)])?;
        if info.dtype != Dtype::U32 {
            return Err(ModelError::Unsupported { key: words, value: format!("{:?}", info.dtype) });
        }
        let mut bytes = Vec::new();
        self.source.read(&words, &mut bytes)?;
        let groups = [rows, columns / affine.group_size()];
        Ok(Some(Packed {
            affine,
            words: bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect(),
            scales: self.numbers(&scales, &groups)?,
            biases: self.numbers(&format!("{path}.biases"), &groups)?,
        }))
    }
}

impl Packed {
    /// The matrix in f32, without rounding to the stored format.
    fn unpack(&self, shape: [usize; 2]) -> Vec<f32> {
        let mut values = vec![0.0; shape[0] * shape[1]];
        self.affine.dequantize(Float::F32, &self.words, &self.scales, &self.biases, &mut values);
        values
    }
}
