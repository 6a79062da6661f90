//! Lookup tables whose rows stay as the checkpoint stores them.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Packed;

/// A table `[rows, width]`; rows are decoded when they are looked up.
#[derive(Debug)]
pub struct Table {
    width: usize,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Float { float: Float, bytes: Vec<u8> },
    Packed(Packed),
}

impl Table {
    /// A table of plain numbers, given as its bytes.
    pub(super) fn float(width: usize, float: Float, bytes: Vec<u8>) -> Self {
        Self { width, rows: Rows::Float { float, bytes } }
    }

    /// A quantized table.
    pub(super) fn packed(width: usize, packed: Packed) -> Self {
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
            Rows::Packed(packed) => packed.restore(Float::F32, row * self.width, out),
        }
    }
}
