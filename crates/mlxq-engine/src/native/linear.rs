//! Linear layers: packed matrices and their biases.

use mlxq_kernels::gemm::{Epilogue, PackedMatrix};
use mlxq_kernels::pool::Pool;

use super::tensor::{Arena, Block};

/// A linear layer, or several of the same input whose results stand side by side.
#[derive(Debug)]
pub struct Linear {
    /// At least one. Layers that are stored alike are one matrix; others have one each.
    parts: Vec<Part>,
}

/// A packed matrix and its bias.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) weight: PackedMatrix,
    pub(super) bias: Option<Vec<f32>>,
}

/// What follows a product.
#[derive(Debug, Clone, Copy)]
pub(super) struct Behind<'a> {
    pub(super) activation: Option<fn(&mut [f32])>,
    /// `[rows, output]`.
    pub(super) residual: Option<&'a [f32]>,
}

impl Linear {
    /// A layer of one matrix.
    pub(super) fn new(weight: PackedMatrix, bias: Option<Vec<f32>>) -> Self {
        Self { parts: vec![Part { weight, bias }] }
    }

    /// Several layers with results side by side.
    pub(super) fn beside(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Number of output features.
    pub(super) fn output(&self) -> usize {
        self.parts.iter().map(|part| part.weight.output()).sum()
    }

    /// `activation(x weight^T + bias) + residual` for `x [rows, input]`, into `out [rows, output]`.
    pub(super) fn multiply(
        &self,
        (pool, arena): (&Pool, &Arena),
        x: &[f32],
        mut out: Block,
        behind: Behind,
    ) -> Block {
        if let [part] = self.parts.as_slice() {
            part.multiply(pool, x, out.numbers(), behind);
            return out;
        }
        let mut first = 0;
        let width = self.output();
        for part in &self.parts {
            let columns = part.weight.output();
            let mut product = arena.block(out.numbers().len() / width * columns);
            part.multiply(pool, x, product.numbers(), Behind { residual: None, ..behind });
            let rows = product.numbers().chunks_exact(columns);
            for (out, row) in out.numbers().chunks_exact_mut(width).zip(rows) {
                out[first..first + columns].copy_from_slice(row);
            }
            first += columns;
        }
        if let Some(residual) = behind.residual {
            mlxq_kernels::elementwise::add(out.numbers(), residual);
        }
        out
    }
}

impl Part {
    fn multiply(&self, pool: &Pool, x: &[f32], out: &mut [f32], behind: Behind) {
        let Behind { activation, residual } = behind;
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation, residual };
        self.weight.multiply(pool, x, out, &epilogue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: `[1, 2]` times the weights `[3, 4]` with bias 1 and `[5, 6], [7, 8]`.
    #[test]
    fn layers_beside_each_other_give_results_side_by_side() {
        let one = Part { weight: PackedMatrix::new(&[3.0, 4.0], 1, 2), bias: Some(vec![1.0]) };
        let two = Part { weight: PackedMatrix::new(&[5.0, 6.0, 7.0, 8.0], 2, 2), bias: None };
        let layer = Linear::beside(vec![one, two]);
        let arena = Arena::default();
        let behind = Behind { activation: None, residual: Some(&[0.5, 0.0, -0.5, 0.0, 0.0, 0.0]) };
        let x = [1.0, 2.0, 0.0, -1.0];
        let mut out =
            layer.multiply((&Pool::new(1), &arena), &x, arena.block(2 * layer.output()), behind);
        assert_eq!(*out.numbers(), [12.5, 17.0, 22.5, -3.0, -6.0, -8.0]);
    }
}
