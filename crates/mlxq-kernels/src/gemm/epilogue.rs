//! What follows a product while its numbers are still in the nearest cache.

use std::ops::Range;

use super::output::Output;
use crate::elementwise;

/// `activation(x + bias) + residual` for every element `x` of a product; absent parts do nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Epilogue<'a> {
    /// A number per output feature, `[output]`.
    pub bias: Option<&'a [f32]>,
    /// A function of every number.
    pub activation: Option<fn(&mut [f32])>,
    /// Numbers to add, `[rows, output]`.
    pub residual: Option<&'a [f32]>,
}

impl Epilogue<'_> {
    /// Whether its parts are those of a product `[rows, width]`.
    pub(super) fn fits(&self, rows: usize, width: usize) -> bool {
        self.bias.is_none_or(|bias| bias.len() == width)
            && self.residual.is_none_or(|residual| residual.len() == rows * width)
    }

    /// Applies it to the block `sums [rows, N]`, whose first row is the product's row `first_row`, and
    /// writes what belongs to the columns `columns`, at most `N`.
    ///
    /// # Safety
    /// Nobody else may hold that block of `out`.
    pub(super) unsafe fn finish<const N: usize>(
        &self,
        sums: &mut [[f32; N]],
        first_row: usize,
        columns: Range<usize>,
        out: &Output,
    ) {
        if let Some(bias) = self.bias {
            let mut own = [0.0; N];
            own[..columns.len()].copy_from_slice(&bias[columns.clone()]);
            elementwise::add_row(sums.as_flattened_mut(), &own);
        }
        if let Some(activation) = self.activation {
            activation(sums.as_flattened_mut());
        }
        for (row, sums) in sums.iter().enumerate() {
            // SAFETY: as the caller promises.
            let part = unsafe { out.part(first_row + row, columns.clone()) };
            let place = (first_row + row) * out.width() + columns.start;
            let residual = self.residual.map(|residual| &residual[place..][..columns.len()]);
            match (<&mut [f32; N]>::try_from(&mut *part).ok(), residual) {
                // Nearly always, and then its length is known to the compiler.
                (Some(part), None) => *part = *sums,
                (_, None) => part.copy_from_slice(&sums[..columns.len()]),
                (_, Some(residual)) => {
                    for ((part, sum), more) in part.iter_mut().zip(sums).zip(residual) {
                        *part = sum + more;
                    }
                }
            }
        }
    }
}
