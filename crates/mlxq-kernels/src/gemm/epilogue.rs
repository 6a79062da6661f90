//! What follows a product while its numbers are still in the nearest cache.

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
    /// Applies it to `out [rows, width]`.
    pub(super) fn apply(&self, out: &mut [f32], width: usize) {
        if let Some(bias) = self.bias {
            assert_eq!(bias.len(), width, "bias");
            elementwise::add_row(out, bias);
        }
        if let Some(activation) = self.activation {
            activation(out);
        }
        if let Some(residual) = self.residual {
            assert_eq!(residual.len(), out.len(), "residual");
            elementwise::add(out, residual);
        }
    }
}
