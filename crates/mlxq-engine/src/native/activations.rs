//! The numbers that quantized layers multiply their weights with.

use std::fmt;
use std::str::FromStr;

use mlxq_kernels::gemm;

/// What the activations become before a product with quantized weights. Layers whose weights are float
/// compute in f32 whatever is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activations {
    /// They stay float32, and the weights are restored to it.
    Float32,
    /// Integers of 16 bits, a scale for each row: the exact default.
    #[default]
    Int16,
    /// Integers of 8 bits, a scale for each row and group of weights: fast, less exact.
    Int8,
}

impl Activations {
    /// The numbers of bits that [`FromStr`] knows.
    pub const BITS: [&'static str; 3] = ["32", "16", "8"];

    /// The kernels' word for it.
    pub(super) fn kernel(self) -> gemm::Activations {
        match self {
            Self::Float32 => gemm::Activations::F32,
            Self::Int16 => gemm::Activations::I16,
            Self::Int8 => gemm::Activations::I8,
        }
    }

    /// The name of the numbers in records, such as `int16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
        }
    }
}

/// The number of bits, as the command line has it.
impl fmt::Display for Activations {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Float32 => "32",
            Self::Int16 => "16",
            Self::Int8 => "8",
        })
    }
}

/// From the number of bits.
impl FromStr for Activations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Float32, Self::Int16, Self::Int8];
        let found = all.into_iter().find(|activations| activations.to_string() == text);
        found.ok_or_else(|| format!("expected 32, 16 or 8 bits, not `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::Activations;

    #[test]
    fn bits_are_read_as_they_are_written() {
        for bits in Activations::BITS {
            assert_eq!(bits.parse::<Activations>().map(|found| found.to_string()), Ok(bits.into()));
        }
        assert_eq!("8".parse(), Ok(Activations::Int8));
        assert!("4".parse::<Activations>().is_err());
        assert!("int8".parse::<Activations>().is_err());
    }
}
