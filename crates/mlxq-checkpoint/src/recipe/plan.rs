//! What a conversion will write, tensor by tensor.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::{Float, Format};
use crate::tensor::{Dtype, TensorInfo};

/// What becomes of the numbers of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// They stay as they are; for what is no float.
    Same,
    /// They are stored in that format.
    Float(Float),
    /// They are packed; scales and biases are of that float format, to which the numbers are rounded
    /// first.
    Packed(Format, Float),
}

/// One tensor and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTensor {
    /// The tensor under its name in the converted folder.
    pub info: TensorInfo,
    /// What becomes of its numbers.
    pub encoding: Encoding,
    /// Whether it is a weight of two or more dimensions, of which a person asks how it is stored.
    pub is_matrix: bool,
    /// Whether `config.json` describes its module apart from the default.
    pub has_entry: bool,
    /// The rule that decided: why a matrix stays in float, or why it is packed in this way.
    pub rule: Cow<'static, str>,
}

impl PlannedTensor {
    /// The path of its module in the converted folder.
    pub fn module(&self) -> &str {
        self.info.name.rsplit_once('.').map_or(&self.info.name, |(module, _)| module)
    }

    /// The layer that it belongs to: the first number among the parts of its name.
    pub fn layer(&self) -> Option<usize> {
        super::mixed::layer(&self.info.name)
    }

    /// The format that it is packed in.
    pub fn format(&self) -> Option<Format> {
        match self.encoding {
            Encoding::Packed(format, _) => Some(format),
            _ => None,
        }
    }

    /// The tensors of the converted folder that this one becomes.
    pub fn outputs(&self) -> Vec<TensorInfo> {
        let TensorInfo { name, shape, dtype } = &self.info;
        let info = |name: String, dtype, shape| TensorInfo { name, dtype, shape };
        let with_columns = |columns: usize| {
            let outer = &shape[..shape.len().saturating_sub(1)];
            [outer, &[columns]].concat()
        };
        match self.encoding {
            Encoding::Same => vec![info(name.clone(), *dtype, shape.clone())],
            Encoding::Float(float) => vec![info(name.clone(), float.into(), shape.clone())],
            Encoding::Packed(format, float) => {
                let columns = self.info.columns();
                let words = with_columns(format.words(columns));
                let groups = with_columns(columns / format.group_size());
                let part = |part: &str| format!("{}.{part}", self.module());
                let words = info(name.clone(), Dtype::U32, words);
                match format {
                    Format::Affine(_) => vec![
                        words,
                        info(part("scales"), float.into(), groups.clone()),
                        info(part("biases"), float.into(), groups),
                    ],
                    Format::Floating(_) => vec![words, info(part("scales"), Dtype::U8, groups)],
                }
            }
        }
    }
}

/// What a conversion will write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversionPlan {
    /// What becomes of every used tensor.
    pub tensors: Vec<PlannedTensor>,
    /// The format of packed modules that `config.json` does not describe apart; `None` when nothing
    /// is packed.
    pub format: Option<Format>,
}

impl ConversionPlan {
    /// Number of weights and biases of the model.
    pub fn parameters(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.info.elements()).sum()
    }

    /// Number of parameters that are packed.
    pub fn quantized_parameters(&self) -> usize {
        self.packed().map(|tensor| tensor.info.elements()).sum()
    }

    /// Bytes of the tensors as the source holds them.
    pub fn source_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.info.bytes() as u64).sum()
    }

    /// Bytes of all tensors that will be written, file headers not counted.
    pub fn tensor_bytes(&self) -> usize {
        self.tensors.iter().flat_map(PlannedTensor::outputs).map(|info| info.bytes()).sum()
    }

    /// Mean number of bits per parameter.
    pub fn bits_per_weight(&self) -> f64 {
        self.tensor_bytes() as f64 * 8.0 / self.parameters().max(1) as f64
    }

    /// Matrices that stay in float, and why.
    pub fn kept(&self) -> impl Iterator<Item = (&str, &str)> {
        let kept = self.tensors.iter().filter(|t| t.is_matrix && t.format().is_none());
        kept.map(|tensor| (tensor.info.name.as_str(), tensor.rule.as_ref()))
    }

    /// Packed modules that `config.json` describes apart.
    pub fn entries(&self) -> BTreeMap<&str, Format> {
        let apart = self.packed().filter(|tensor| tensor.has_entry);
        apart.filter_map(|tensor| Some((tensor.module(), tensor.format()?))).collect()
    }

    /// The float format of most numbers that are not packed, or of the scales.
    pub fn float(&self) -> Option<Float> {
        let float = |tensor: &PlannedTensor| match tensor.encoding {
            Encoding::Same => None,
            Encoding::Float(float) | Encoding::Packed(_, float) => Some(float),
        };
        self.tensors.iter().find_map(float)
    }

    /// The size in words: so many packed bits, so many plain bytes.
    pub fn arithmetic(&self) -> String {
        let bytes = self.packed().flat_map(PlannedTensor::outputs).map(|info| info.bytes());
        let (bytes, quantized) = (bytes.sum::<usize>(), self.quantized_parameters());
        format!(
            "{quantized} weights at {:.2} bits = {bytes} bytes, {} others = {} bytes",
            bytes as f64 * 8.0 / quantized.max(1) as f64,
            self.parameters() - quantized,
            self.tensor_bytes() - bytes,
        )
    }

    fn packed(&self) -> impl Iterator<Item = &PlannedTensor> {
        self.tensors.iter().filter(|tensor| tensor.format().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(shape: &[usize], bits: u32, group_size: usize) -> PlannedTensor {
        let format = Format::new("affine", Some(bits), Some(group_size)).expect("a format");
        PlannedTensor {
            info: TensorInfo { name: "a.weight".into(), dtype: Dtype::F32, shape: shape.to_vec() },
            encoding: Encoding::Packed(format, Float::F16),
            is_matrix: true,
            has_entry: false,
            rule: "".into(),
        }
    }

    /// By hand: 768 x 768 at 8 bits and groups of 64 takes 8.5 bits per weight with f16 scales.
    #[test]
    fn sizes_add_up() {
        let tensors = vec![planned(&[768, 768], 8, 64)];
        let plan = ConversionPlan { tensors, format: None };
        assert_eq!(plan.tensor_bytes(), 768 * 768 * 17 / 16);
        assert_eq!(plan.bits_per_weight(), 8.5);
        assert_eq!(planned(&[4, 64], 3, 32).outputs()[0].shape, [4, 6]);
        assert_eq!(planned(&[2, 4, 64], 4, 32).outputs()[1].shape, [2, 4, 2]);
    }
}
