//! A checkpoint's tensors as the native engine's parameters.

use std::sync::atomic::{AtomicBool, Ordering};

use mlxq_checkpoint::tensor::{Dtype, TensorBytes, TensorInfo, TensorSource};
use mlxq_checkpoint::{CheckpointError, Quantization};
use mlxq_kernels::float::Float;
use mlxq_kernels::gemm::{Activations, PackedMatrix};
use mlxq_kernels::quant::Format;
use mlxq_models::{ModelError, NormKind, Weights, expect_shape};

use super::linear::{Linear, Part};
use super::ops::{NativeOps, Norm};
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
        let weight = self.matrix(path, shape)?.pack(shape, self.activations);
        let bias = bias.then(|| self.numbers(&format!("{path}.bias"), &shape[..1])).transpose()?;
        Ok(Linear::new(weight, bias))
    }

    fn stacked(&self, paths: &[String], shape: [usize; 2]) -> Result<Linear, ModelError> {
        let matrices = paths.iter().map(|path| self.matrix(path, shape));
        let matrices: Vec<Matrix> = matrices.collect::<Result<_, _>>()?;
        let biases = paths.iter().map(|path| self.numbers(&format!("{path}.bias"), &shape[..1]));
        let biases: Vec<Vec<f32>> = biases.collect::<Result<_, _>>()?;
        if let Some(all) = Matrix::below_each_other(&matrices) {
            let weight = all.pack([paths.len() * shape[0], shape[1]], self.activations);
            return Ok(Linear::new(weight, Some(biases.concat())));
        }
        let parts = matrices.iter().zip(biases);
        let part = |(matrix, bias): (&Matrix, _)| Part {
            weight: matrix.pack(shape, self.activations),
            bias: Some(bias),
        };
        Ok(Linear::beside(parts.map(part).collect()))
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
        Ok(Linear::new(PackedMatrix::new(&matrix, output, input), Some(bias)))
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

/// The bytes of a layer's weights.
enum Matrix {
    Float { float: Float, bytes: TensorBytes },
    Packed(PackedBytes),
}

impl Matrix {
    /// Packs it for products; it is `[output, input]`.
    fn pack(&self, [output, input]: [usize; 2], activations: Activations) -> PackedMatrix {
        match self {
            Self::Float { float, bytes } => PackedMatrix::of_bytes(*float, bytes, output, input),
            Self::Packed(packed) => {
                PackedMatrix::quantized(&packed.stored(), output, input, activations)
            }
        }
    }

    /// The matrix of the rows of all; `None` if they are not stored alike.
    fn below_each_other<'a>(all: &'a [Self]) -> Option<Self> {
        let joined = |parts: Vec<&TensorBytes>| -> TensorBytes {
            parts.into_iter().map(|bytes| &**bytes).collect::<Vec<&[u8]>>().concat().into()
        };
        match all.first()? {
            Self::Float { float, .. } => {
                let same = |matrix: &'a Self| match matrix {
                    Self::Float { float: other, bytes } if other == float => Some(bytes),
                    _ => None,
                };
                let bytes = joined(all.iter().map(same).collect::<Option<_>>()?);
                Some(Self::Float { float: *float, bytes })
            }
            Self::Packed(PackedBytes { format, float, .. }) => {
                let same = |matrix: &'a Self| match matrix {
                    Self::Packed(other) if (other.format, other.float) == (*format, *float) => {
                        Some(other)
                    }
                    _ => None,
                };
                let all: Vec<&PackedBytes> = all.iter().map(same).collect::<Option<_>>()?;
                let of = |part: fn(&PackedBytes) -> &TensorBytes| {
                    joined(all.iter().copied().map(part).collect())
                };
                Some(Self::Packed(PackedBytes {
                    format: *format,
                    float: *float,
                    words: of(|packed| &packed.words),
                    scales: of(|packed| &packed.scales),
                    biases: of(|packed| &packed.biases),
                }))
            }
        }
    }
}

impl NativeWeights<'_> {
    /// What the layers read so far compute with: float32 where none is quantized.
    pub(super) fn activations(&self) -> Activations {
        match self.quantized.load(Ordering::Relaxed) {
            true => self.activations,
            false => Activations::Float32,
        }
    }

    /// The layer `path.weight` of that shape.
    fn matrix(&self, path: &str, shape: [usize; 2]) -> Result<Matrix, ModelError> {
        if let Some(packed) = self.packed(path, shape)? {
            // The other modes are restored and computed in f32.
            let affine = matches!(packed.format, Format::Affine(_));
            self.quantized.fetch_or(affine, Ordering::Relaxed);
            return Ok(Matrix::Packed(packed));
        }
        let (float, bytes) =
            self.bytes(expect_shape(self.source, &format!("{path}.weight"), &shape)?)?;
        Ok(Matrix::Float { float, bytes })
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
