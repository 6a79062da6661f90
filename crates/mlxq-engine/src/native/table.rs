//! Lookup tables whose rows stay where the checkpoint has them, which is the mapped file if it can be.

use mlxq_checkpoint::tensor::TensorBytes;
use mlxq_kernels::float::Float;
use mlxq_kernels::quant::{Format, Stored};

/// A table `[rows, width]`; rows are decoded when they are looked up.
#[derive(Debug)]
pub struct Table {
    width: usize,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Float { float: Float, bytes: TensorBytes },
    Packed(PackedBytes),
}

/// The tensors of a quantized matrix, as [`Stored`] describes them.
#[derive(Debug)]
pub(super) struct PackedBytes {
    pub(super) format: Format,
    pub(super) float: Float,
    pub(super) words: TensorBytes,
    pub(super) scales: TensorBytes,
    pub(super) biases: TensorBytes,
}

impl PackedBytes {
    /// The matrix for the kernels.
    pub(super) fn stored(&self) -> Stored<'_> {
        let Self { format, float, words, scales, biases } = self;
        Stored { format: *format, float: *float, words, scales, biases }
    }
}

impl Table {
    /// A table of plain numbers, given as its bytes.
    pub(super) fn float(width: usize, float: Float, bytes: TensorBytes) -> Self {
        Self { width, rows: Rows::Float { float, bytes } }
    }

    /// A quantized table.
    pub(super) fn packed(width: usize, packed: PackedBytes) -> Self {
        Self { width, rows: Rows::Packed(packed) }
    }

    /// Length of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Decodes row `row` into `out [width]`.
    pub(super) fn read(&self, row: usize, out: &mut [f32]) {
        match &self.rows {
            Rows::Float { float, bytes } => {
                let bytes_per_row = self.width * float.size();
                float.decode(&bytes[row * bytes_per_row..(row + 1) * bytes_per_row], out);
            }
            Rows::Packed(packed) => packed.stored().restore(row * self.width, out),
        }
    }
}
