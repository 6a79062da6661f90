//! The coarse operations over the CPU kernels.

use std::sync::Arc;

use mlxq_kernels::pool::Pool;
use mlxq_kernels::{activation, attention, elementwise, norm, rotary};
use mlxq_models::{Activation, AttentionSpec, Mask, NormKind, Ops, Pooling, Relative};

use super::linear::{Behind, Linear};
use super::pooling::pool_row;
use super::share;
use super::table::Table;
use super::tensor::{Arena, Block, Tensor};

/// Tokens that a thread is given at least, where rows are shared out: from about so many rows on a product
/// runs near its full speed, because every block of weights is fetched and decoded once for all of them
/// (64 rows at 0.9 of the speed of 512 in docs/performance.md).
pub(super) const ROWS_PER_THREAD: usize = 64;

/// The native engine's operations: f32 activations on the CPU, in memory of their own.
#[derive(Debug)]
pub struct NativeOps {
    pool: Arc<Pool>,
    arena: Arena,
}

impl NativeOps {
    /// Operations on a pool of `threads` threads.
    pub fn new(threads: usize) -> Self {
        Self { pool: Arc::new(Pool::new(threads)), arena: Arena::default() }
    }

    /// Operations on the same threads, with memory of their own.
    pub(super) fn another(&self) -> Self {
        Self { pool: Arc::clone(&self.pool), arena: Arena::default() }
    }

    /// The threads that all work is shared out to.
    pub(super) fn threads(&self) -> &Pool {
        &self.pool
    }

    /// The same numbers, end to end.
    fn dense(&self, x: &Tensor) -> Tensor {
        if x.is_dense() {
            return x.clone();
        }
        self.fill(x.rows(), x.width(), |row, out| out.copy_from_slice(x.row(row)))
    }

    /// Vectors of `width` that `fill(row, vector)` writes.
    fn fill(&self, rows: usize, width: usize, fill: impl Fn(usize, &mut [f32]) + Sync) -> Tensor {
        let mut block = self.arena.block(rows * width);
        share::rows(&self.pool, block.numbers(), width, |first, part| {
            for (row, out) in part.chunks_exact_mut(width).enumerate() {
                fill(first + row, out);
            }
        });
        block.tensor(width)
    }

    /// `x` as `change(first, part)` makes it, which is called with parts of whole vectors from `first`
    /// on: in place where nobody else sees the numbers.
    fn change(&self, x: Tensor, change: impl Fn(usize, &mut [f32]) + Sync) -> Tensor {
        let width = x.width();
        match x.alone() {
            Ok(mut block) => {
                share::rows(&self.pool, block.numbers(), width, change);
                block.tensor(width)
            }
            Err(x) => self.fill(x.rows(), width, |row, out| {
                out.copy_from_slice(x.row(row));
                change(row, out);
            }),
        }
    }

    fn product(
        &self,
        x: &Tensor,
        layer: &Linear,
        function: Activation,
        residual: Option<&Tensor>,
    ) -> Tensor {
        let (x, residual) = (self.dense(x), residual.map(|residual| self.dense(residual)));
        let out: Block = self.arena.block(x.rows() * layer.output());
        let residual = residual.as_ref().map(Tensor::span);
        let behind = Behind { activation: kernel(function), residual };
        layer.multiply((&self.pool, &self.arena), x.span(), out, behind).tensor(layer.output())
    }
}

/// A normalization's parameters.
#[derive(Debug)]
pub struct Norm {
    pub(super) kind: NormKind,
    pub(super) weight: Vec<f32>,
    /// Empty where the kind has none.
    pub(super) bias: Vec<f32>,
}

impl Norm {
    /// The normalization of the vectors `x` into `out`.
    fn apply(&self, x: &[f32], out: &mut [f32]) {
        let Self { kind, weight, bias } = self;
        match *kind {
            NormKind::LayerNorm(epsilon) | NormKind::LayerNormWithoutBias(epsilon) => {
                norm::layer_norm(x, out, weight, bias, epsilon);
            }
            NormKind::ScaleAndShift => elementwise::scale_and_shift(x, out, weight, bias),
        }
    }
}

impl Ops for NativeOps {
    type Tensor = Tensor;
    type Linear = Linear;
    type Embedding = Table;
    type Norm = Norm;

    fn embed(&self, table: &Table, ids: &[u32]) -> Tensor {
        self.fill(ids.len(), table.width(), |row, out| table.read(ids[row] as usize, out))
    }

    fn embed_add(&self, x: Tensor, table: &Table, ids: &[u32]) -> Tensor {
        let width = table.width();
        self.change(x, |first, part| {
            let mut row = self.arena.block(width);
            for (out, id) in part.chunks_exact_mut(width).zip(&ids[first..]) {
                table.read(*id as usize, row.numbers());
                elementwise::add(out, row.numbers());
            }
        })
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Tensor {
        let (width, y) = (x.width(), self.dense(y));
        self.change(x, |first, part| elementwise::add(part, &y.span()[first * width..]))
    }

    fn scale(&self, x: Tensor, factor: f32) -> Tensor {
        self.change(x, |_, part| elementwise::scale(part, factor))
    }

    fn linear(&self, x: &Tensor, layer: &Linear, function: Activation) -> Tensor {
        self.product(x, layer, function, None)
    }

    fn linear_add(
        &self,
        x: &Tensor,
        layer: &Linear,
        function: Activation,
        residual: &Tensor,
    ) -> Tensor {
        self.product(x, layer, function, Some(residual))
    }

    fn gated(&self, x: &Tensor, function: Activation) -> Tensor {
        let (width, kernel) = (x.width() / 2, kernel(function));
        self.fill(x.rows(), width, |row, out| {
            let (gate, factor) = x.row(row).split_at(width);
            out.copy_from_slice(gate);
            if let Some(kernel) = kernel {
                kernel(out);
            }
            elementwise::multiply(out, factor);
        })
    }

    fn norm(&self, x: &Tensor, norm: &Norm) -> Tensor {
        let (width, x) = (x.width(), self.dense(x));
        let mut block = self.arena.block(x.rows() * width);
        share::rows(&self.pool, block.numbers(), width, |first, out| {
            norm.apply(&x.span()[first * width..][..out.len()], out);
        });
        block.tensor(width)
    }

    fn attention(
        &self,
        query_key_value: [&Tensor; 3],
        offsets: &[usize],
        spec: &AttentionSpec,
        relative: Option<&Relative<Tensor>>,
    ) -> Tensor {
        let tables = relative.map(|relative| {
            let dense = |table: Option<&Tensor>| table.map(|table| self.dense(table));
            [dense(relative.bias), dense(relative.key), dense(relative.query)]
        });
        let relative = relative.zip(tables.as_ref()).map(|(relative, tables)| {
            let [bias, key, query] =
                tables.each_ref().map(|table| table.as_ref().map(Tensor::span));
            attention::Relative { buckets: &relative.buckets.rows, bias, key, query }
        });
        let mask = match spec.mask {
            Mask::Full => attention::Mask::Full,
            Mask::Causal => attention::Mask::Causal,
            Mask::Window(far) => attention::Mask::Window(far),
        };
        let spec = attention::Spec { heads: spec.heads, scale: spec.scale, mask, relative };
        let inputs =
            query_key_value.map(|x| attention::Rows { data: x.span(), stride: x.stride() });
        let [query, _, _] = query_key_value;
        let mut out = self.arena.block(query.rows() * query.width());
        attention::attention(&self.pool, inputs, offsets, &spec, out.numbers());
        out.tensor(query.width())
    }

    fn rotary_angles(&self, positions: &[u32], head_size: usize, base: f32) -> Tensor {
        Tensor::new(head_size, rotary::angles(positions, head_size, base))
    }

    fn rotate(&self, x: Tensor, angles: &Tensor) -> Tensor {
        let (width, head_size) = (x.width(), angles.width());
        self.change(x, |first, part| {
            rotary::rotate(part, [width, width], &angles.span()[first * head_size..], head_size);
        })
    }

    fn split<const N: usize>(&self, x: Tensor) -> [Tensor; N] {
        let width = x.width() / N;
        std::array::from_fn(|part| x.part(part * width, width))
    }

    fn neighbours(&self, x: &Tensor, offsets: &[usize], shifts: &[isize]) -> Tensor {
        let mut block = self.arena.block(x.rows() * x.width() * shifts.len());
        let mut places = block.numbers().chunks_exact_mut(x.width());
        for row in offsets.windows(2).map(|row| row[0]..row[1]) {
            let seen = row
                .clone()
                .flat_map(|place| shifts.iter().map(move |shift| place.checked_add_signed(*shift)));
            for (other, out) in seen.zip(&mut places) {
                match other.filter(|other| row.contains(other)) {
                    Some(other) => out.copy_from_slice(x.row(other)),
                    None => out.fill(0.0),
                }
            }
        }
        block.tensor(x.width() * shifts.len())
    }

    fn select(&self, x: &Tensor, places: &[u32]) -> Tensor {
        let copy = |row: usize, out: &mut [f32]| out.copy_from_slice(x.row(places[row] as usize));
        self.fill(places.len(), x.width(), copy)
    }

    fn pool(&self, x: &Tensor, offsets: &[usize], modes: &[Pooling]) -> Tensor {
        let (width, x) = (x.width(), self.dense(x));
        self.fill(offsets.len() - 1, width * modes.len(), |row, out| {
            let tokens = &x.span()[offsets[row] * width..offsets[row + 1] * width];
            for (out, mode) in out.chunks_exact_mut(width).zip(modes) {
                pool_row(tokens, *mode, out);
            }
        })
    }

    fn normalize(&self, x: Tensor) -> Tensor {
        let width = x.width();
        self.change(x, |_, part| norm::l2_normalize(part, width))
    }
}

/// The kernel of a function; `None` for the identity.
fn kernel(function: Activation) -> Option<fn(&mut [f32])> {
    Some(match function {
        Activation::Identity => return None,
        Activation::Gelu => activation::gelu,
        Activation::GeluClipped => activation::gelu_clipped,
        Activation::GeluTanh => activation::gelu_tanh,
        Activation::HardSwish => activation::hard_swish,
        Activation::Laplace => activation::laplace,
        Activation::LeakyRelu => activation::leaky_relu,
        Activation::Mish => activation::mish,
        Activation::QuickGelu => activation::quick_gelu,
        Activation::Relu => activation::relu,
        Activation::ReluSquared => activation::relu_squared,
        Activation::Relu6 => activation::relu6,
        Activation::Sigmoid => activation::sigmoid,
        Activation::Silu => activation::silu,
        Activation::SqrtSoftplus => activation::sqrt_softplus,
        Activation::Tanh => activation::tanh,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: two rows of two and one tokens.
    #[test]
    fn neighbours_end_with_their_row() {
        let x = Tensor::new(1, vec![1.0, 2.0, 3.0]);
        let seen = NativeOps::new(1).neighbours(&x, &[0, 2, 3], &[1, 0, -1]);
        assert_eq!(seen.to_vec(), [2.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn parts_and_gates_are_cut_from_every_token() {
        let ops = NativeOps::new(1);
        let x = Tensor::new(4, vec![1.0, 2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0]);
        let [first, second] = ops.split(x.clone());
        assert_eq!(first.to_vec(), [1.0, 2.0, -5.0, 6.0]);
        assert_eq!(second.to_vec(), [3.0, 4.0, 7.0, 8.0]);
        assert_eq!(ops.gated(&x, Activation::Relu).to_vec(), [3.0, 8.0, 0.0, 48.0]);
        assert_eq!(ops.select(&x, &[1, 0]).row(0), x.row(1));
    }

    /// A tensor that another handle sees is left alone, and so are the neighbours of a view.
    #[test]
    fn what_others_see_is_not_changed() {
        let ops = NativeOps::new(1);
        let numbers = vec![1.0, 2.0, 3.0, 4.0];
        let whole = Tensor::new(2, numbers.clone());
        let [_, second] = ops.split::<2>(whole.clone());
        assert_eq!(ops.scale(second.clone(), 3.0).to_vec(), [6.0, 12.0]);
        assert_eq!(ops.add(whole.clone(), &whole).to_vec(), [2.0, 4.0, 6.0, 8.0]);
        assert_eq!(whole.to_vec(), numbers);
        drop(whole);
        assert_eq!(ops.add(second.clone(), &second).to_vec(), [4.0, 8.0]);
        assert_eq!(second.to_vec(), [2.0, 4.0]);
    }
}
