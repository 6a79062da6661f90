//! Which tensor gets which format, decided before anything is converted.
//!
//! Follows what the MLX clients load (see `docs/design.md`, "the folder"): linear layers and tables
//! are quantized, heads and norms stay in float, and whatever cannot be quantized is listed with the
//! reason.

pub use mlxq_kernels::float::Float;
pub use mlxq_kernels::quant::Format;

use crate::layout::{Claim, Claims, Part, Role};
use crate::tensor::{Dtype, TensorInfo, TensorSource};
use crate::{CheckpointError, Purpose};

/// What the user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// The format of quantized weights.
    pub format: Format,
    /// The format of everything else, and of scales and biases; `None`: float16 for float32
    /// sources, else the source's.
    pub float: Option<Float>,
}

/// One source tensor and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// The tensor in the source.
    pub source: TensorInfo,
    /// Its name in the converted folder.
    pub target: String,
    /// The format of its numbers, or of its scales and biases.
    pub float: Float,
    /// How it is packed; `None` if it stays in float.
    pub format: Option<Format>,
    /// Why a matrix is not packed; `None` for packed ones and for vectors.
    pub kept: Option<&'static str>,
}

impl PlannedTensor {
    /// The tensors of the converted folder that this one becomes.
    pub fn outputs(&self) -> Vec<TensorInfo> {
        let TensorInfo { shape, .. } = &self.source;
        let info = |name: String, dtype, shape| TensorInfo { name, dtype, shape };
        let Some(format) = self.format else {
            return vec![info(self.target.clone(), self.float.into(), shape.clone())];
        };
        let module = self.target.strip_suffix(".weight").unwrap_or(&self.target);
        let words = vec![shape[0], format.words(shape[1])];
        let groups = vec![shape[0], shape[1] / format.group_size()];
        let words = info(self.target.clone(), Dtype::U32, words);
        let scales = format!("{module}.scales");
        match format {
            Format::Affine(_) => vec![
                words,
                info(scales, self.float.into(), groups.clone()),
                info(format!("{module}.biases"), self.float.into(), groups),
            ],
            Format::Floating(_) => vec![words, info(scales, Dtype::U8, groups)],
        }
    }
}

/// What a conversion will write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionPlan {
    /// What becomes of every used tensor.
    pub tensors: Vec<PlannedTensor>,
    /// The format of the packed ones.
    pub format: Format,
}

impl ConversionPlan {
    /// Number of weights and biases of the model.
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.source.elements()).sum()
    }

    /// Number of parameters that are packed.
    pub fn quantized_parameters(&self) -> usize {
        let packed = self.tensors.iter().filter(|tensor| tensor.format.is_some());
        packed.map(|tensor| tensor.source.elements()).sum()
    }

    /// Bytes of all tensors, file headers not counted.
    pub fn tensor_bytes(&self) -> usize {
        self.tensors.iter().flat_map(PlannedTensor::outputs).map(|info| info.bytes()).sum()
    }

    /// Mean number of bits per parameter.
    pub fn bits_per_weight(&self) -> f64 {
        self.tensor_bytes() as f64 * 8.0 / self.parameters().max(1) as f64
    }

    /// Matrices that stay in float, and why.
    pub fn kept(&self) -> Vec<(&str, &'static str)> {
        let kept = |tensor: &'_ PlannedTensor| tensor.kept;
        self.tensors.iter().filter_map(|t| kept(t).map(|why| (t.target.as_str(), why))).collect()
    }

    /// The size in words: so many packed bits, so many plain bytes.
    pub fn arithmetic(&self) -> String {
        let packed = self.tensors.iter().filter(|tensor| tensor.format.is_some());
        let bytes = packed.flat_map(PlannedTensor::outputs).map(|info| info.bytes()).sum::<usize>();
        let quantized = self.quantized_parameters();
        format!(
            "{quantized} weights at {:.2} bits = {bytes} bytes, {} others = {} bytes",
            bytes as f64 * 8.0 / quantized.max(1) as f64,
            self.parameters() - quantized,
            self.tensor_bytes() - bytes,
        )
    }
}

impl Recipe {
    /// The plan for the tensors that `claims` uses.
    ///
    /// # Errors
    /// When the source is quantized already, holds something else than floats, or nothing can be
    /// quantized.
    pub fn plan(
        &self,
        claims: &Claims,
        source: &dyn TensorSource,
        purpose: Purpose,
    ) -> Result<ConversionPlan, CheckpointError> {
        let mut tensors = Vec::with_capacity(claims.used.len());
        for claim in &claims.used {
            let info = source.find(&claim.source);
            let info = info.ok_or_else(|| CheckpointError::missing_tensor(&claim.source))?;
            tensors.push(self.tensor(claim, info, claims.prefix(), purpose)?);
        }
        if tensors.iter().all(|tensor| tensor.format.is_none()) {
            let reason = format!("no matrix fits groups of {}", self.format.group_size());
            return Err(CheckpointError::tensor("*", reason));
        }
        Ok(ConversionPlan { tensors, format: self.format })
    }

    fn tensor(
        &self,
        claim: &Claim,
        info: &TensorInfo,
        prefix: &str,
        purpose: Purpose,
    ) -> Result<PlannedTensor, CheckpointError> {
        if matches!(claim.part, Part::Scales | Part::Biases) {
            return Err(CheckpointError::tensor(&info.name, "belongs to quantized weights"));
        }
        let float = info.dtype.float().ok_or_else(|| {
            let reason = format!("holds {}, not F32, F16 or BF16", info.dtype.name());
            CheckpointError::tensor(&info.name, reason)
        })?;
        let kept = self.reason_to_keep(claim, info);
        let keeps_prefix = claim.in_base && purpose == Purpose::SequenceClassification;
        Ok(PlannedTensor {
            target: if keeps_prefix {
                format!("{prefix}{}", claim.name)
            } else {
                claim.name.clone()
            },
            float: self.float.unwrap_or(if float == Float::F32 { Float::F16 } else { float }),
            format: (claim.part == Part::Weight && kept.is_none()).then_some(self.format),
            kept: kept.filter(|_| info.shape.len() > 1),
            source: info.clone(),
        })
    }

    fn reason_to_keep(&self, claim: &Claim, info: &TensorInfo) -> Option<&'static str> {
        match (claim.role, info.shape.as_slice()) {
            (Role::Norm, _) => Some("a normalization"),
            (Role::Head, _) => Some("a head, kept in float"),
            (Role::Linear | Role::Embedding, [_, columns]) => {
                let fits = columns.is_multiple_of(self.format.group_size());
                // mlx-embeddings leaves out matrices whose size is no multiple of 64.
                let whole = info.elements().is_multiple_of(64);
                (!fits || !whole).then_some("its last dimension is no whole number of groups")
            }
            _ => Some("no matrix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(shape: [usize; 2], bits: u32, group_size: usize) -> PlannedTensor {
        PlannedTensor {
            source: TensorInfo {
                name: "a.weight".into(),
                dtype: Dtype::F32,
                shape: shape.to_vec(),
            },
            target: "a.weight".into(),
            float: Float::F16,
            format: Format::new("affine", Some(bits), Some(group_size)).ok(),
            kept: None,
        }
    }

    /// By hand: 768 x 768 at 8 bits and groups of 64 takes 8.5 bits per weight with f16 scales.
    #[test]
    fn sizes_add_up() {
        let tensors = vec![planned([768, 768], 8, 64)];
        let format = Format::new("affine", None, None).expect("a format");
        let plan = ConversionPlan { tensors, format };
        assert_eq!(plan.tensor_bytes(), 768 * 768 * 17 / 16);
        assert_eq!(plan.bits_per_weight(), 8.5);
        assert_eq!(planned([4, 64], 3, 32).outputs()[0].shape, [4, 6]);
    }
}
