//! What every reader demands of a tensor, whatever its file's format.

use std::fmt::Display;

use crate::shown;
use crate::tensor::Dtype;

/// The most tensors of a file.
pub(super) const TENSOR_LIMIT: usize = 1_000_000;
const RANK_LIMIT: usize = 32;
const NAME_LIMIT: usize = 4096;

/// Refuses a name that no checkpoint has.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err("the name is empty, too long or holds control characters".to_owned());
    }
    Ok(())
}

/// Refuses more dimensions than any model has.
pub(super) fn check_rank(rank: usize) -> Result<(), String> {
    if rank <= RANK_LIMIT {
        Ok(())
    } else {
        Err(format!("{rank} dimensions are more than {RANK_LIMIT}"))
    }
}

/// The dimension `size`, which the file wrote as `shown`.
pub(super) fn dimension(size: Option<u64>, shown: impl Display) -> Result<usize, String> {
    let size = size.filter(|size| *size <= i32::MAX as u64);
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| format!("dimension {shown} is no integer from 0 to 2^31 - 1"))
}

/// The bytes of a tensor; the product is taken in the order of its dimensions.
pub(super) fn byte_size(dtype: Dtype, shape: &[usize]) -> Result<usize, String> {
    let size = shape.iter().try_fold(dtype.size(), |product, size| product.checked_mul(*size));
    size.ok_or_else(|| "its size overflows".to_owned())
}

/// Why a dtype of that name is not read, and what to do.
pub(super) fn unsupported_dtype(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let bits = ["8", "6", "4"].into_iter().find(|bits| {
        lower.starts_with(&format!("f{bits}")) || lower.starts_with(&format!("float{bits}"))
    });
    let shown = shown(name);
    match bits {
        Some(bits) => format!(
            "dtype `{shown}` is not supported: fp{bits} weights are quantized already; \
             convert the original checkpoint"
        ),
        None => format!("dtype `{shown}` is not supported; known are {}", Dtype::NAMES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantized_dtypes_are_called_so() {
        for (name, word) in [
            ("F8_E4M3", "fp8"),
            ("F4", "fp4"),
            ("float8_e5m2", "fp8"),
            ("F6_E2M3", "fp6"),
            ("F99", "known are BOOL"),
            ("C64", "known are BOOL"),
        ] {
            let reason = unsupported_dtype(name);
            assert!(reason.contains(word) && reason.contains(name), "{reason}");
        }
    }
}
