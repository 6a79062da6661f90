//! Lookup tables whose rows stay as the checkpoint stores them.

use mlxq_kernels::float::Float;
use mlxq_kernels::quant::Affine;

/// A table `[rows, width]`; rows are decoded when they are looked up.
#[derive(Debug)]
pub struct Table {
    width: usize,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Float { float: Float, bytes: Vec<u8> },
    Affine { affine: Affine, words: Vec<u32>, scales: Vec<f32>, biases: Vec<f32> },
}

impl Table {
    /// A table of plain numbers, given as its bytes.
    pub(super) fn float(width: usize, float: Float, bytes: Vec<u8>) -> Self {
        Self { width, rows: Rows::Float { float, bytes } }
    }

    /// A quantized table.
    pub(super) fn affine(
        width: usize,
        affine: Affine,
        words: Vec<u32>,
        scales: Vec<f32>,
        biases: Vec<f32>,
    ) -> Self {
        Self { width, rows: Rows::Affine { affine, words, scales, biases } }
    }

    /// Length of each row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Decodes row `row` into `out [width]`.
    pub(super) fn read(&self, row: usize, out: &mut [f32]) {
        let part = |per_row: usize| row * per_row..(row + 1) * per_row;
        match &self.rows {
            Rows::Float { float, bytes } => {
                float.decode(&bytes[part(self.width * float.size())], out)
            }
            Rows::Affine { affine, words, scales, biases } => {
                let groups = part(self.width / affine.group_size());
                let words = &words[part(affine.words(self.width))];
                affine.dequantize(Float::F32, words, &scales[groups.clone()], &biases[groups], out);
            }
        }
    }
}
