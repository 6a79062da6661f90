//! The coarse operations over the CPU kernels.

use mlxq_kernels::gemm::{Epilogue, PackedMatrix};
use mlxq_kernels::pool::Pool;
use mlxq_kernels::{activation, attention, elementwise, norm, rotary};
use mlxq_models::{Activation, AttentionSpec, Mask, NormKind, Ops, Pooling, Relative};

use super::table::Table;

/// The native engine's operations: f32 activations on the CPU.
#[derive(Debug)]
pub struct NativeOps {
    pool: Pool,
}

impl NativeOps {
    /// Operations on a pool of `threads` threads.
    pub fn new(threads: usize) -> Self {
        Self { pool: Pool::new(threads) }
    }
}

/// Row-major activations, `[rows, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each row.
    pub width: usize,
    /// The elements.
    pub data: Vec<f32>,
}

impl Tensor {
    /// All elements.
    fn numbers(&self) -> &[f32] {
        &self.data
    }

    /// The vector of row `row`.
    fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..(row + 1) * self.width]
    }
}

/// A linear layer: a packed matrix and its bias.
#[derive(Debug)]
pub struct Linear {
    pub(super) weight: PackedMatrix,
    pub(super) bias: Option<Vec<f32>>,
}

/// A normalization's parameters.
#[derive(Debug)]
pub struct Norm {
    pub(super) kind: NormKind,
    pub(super) weight: Vec<f32>,
    /// Empty where the kind has none.
    pub(super) bias: Vec<f32>,
}

impl Ops for NativeOps {
    type Tensor = Tensor;
    type Linear = Linear;
    type Embedding = Table;
    type Norm = Norm;

    fn embed(&self, table: &Table, ids: &[u32]) -> Tensor {
        let mut data = vec![0.0; ids.len() * table.width()];
        for (row, id) in data.chunks_exact_mut(table.width()).zip(ids) {
            table.read(*id as usize, row);
        }
        Tensor { width: table.width(), data }
    }

    fn add(&self, mut x: Tensor, y: &Tensor) -> Tensor {
        elementwise::add(&mut x.data, &y.data);
        x
    }

    fn scale(&self, mut x: Tensor, factor: f32) -> Tensor {
        elementwise::scale(&mut x.data, factor);
        x
    }

    fn linear(&self, x: &Tensor, layer: &Linear, function: Activation) -> Tensor {
        let width = layer.weight.output();
        let mut data = vec![0.0; x.data.len() / x.width * width];
        let epilogue =
            Epilogue { bias: layer.bias.as_deref(), activation: kernel(function), residual: None };
        layer.weight.multiply(&self.pool, &x.data, &mut data, &epilogue);
        Tensor { width, data }
    }

    fn gated(&self, x: &Tensor, function: Activation) -> Tensor {
        let width = x.width / 2;
        let mut data = Vec::with_capacity(x.data.len() / 2);
        x.data.chunks_exact(x.width).for_each(|row| data.extend_from_slice(&row[..width]));
        if let Some(kernel) = kernel(function) {
            kernel(&mut data);
        }
        for (out, row) in data.chunks_exact_mut(width).zip(x.data.chunks_exact(x.width)) {
            elementwise::multiply(out, &row[width..]);
        }
        Tensor { width, data }
    }

    fn norm(&self, x: &Tensor, norm: &Norm) -> Tensor {
        let mut data = vec![0.0; x.data.len()];
        match norm.kind {
            NormKind::LayerNorm(epsilon) | NormKind::LayerNormWithoutBias(epsilon) => {
                norm::layer_norm(&x.data, &mut data, &norm.weight, &norm.bias, epsilon);
            }
            NormKind::ScaleAndShift => {
                elementwise::scale_and_shift(&x.data, &mut data, &norm.weight, &norm.bias);
            }
        }
        Tensor { width: x.width, data }
    }

    fn attention(
        &self,
        query_key_value: [&Tensor; 3],
        offsets: &[usize],
        spec: &AttentionSpec,
        relative: Option<&Relative<Tensor>>,
    ) -> Tensor {
        let width = query_key_value[0].width;
        let inputs = query_key_value.map(|x| attention::Rows { data: &x.data, stride: width });
        let spec = attention::Spec {
            heads: spec.heads,
            scale: spec.scale,
            mask: match spec.mask {
                Mask::Full => attention::Mask::Full,
                Mask::Causal => attention::Mask::Causal,
                Mask::Window(far) => attention::Mask::Window(far),
            },
            relative: relative.map(|relative| attention::Relative {
                buckets: &relative.buckets.rows,
                bias: relative.bias.map(Tensor::numbers),
                key: relative.key.map(Tensor::numbers),
                query: relative.query.map(Tensor::numbers),
            }),
        };
        let mut data = vec![0.0; query_key_value[0].data.len()];
        attention::attention(&self.pool, inputs, offsets, &spec, &mut data);
        Tensor { width, data }
    }

    fn rotary_angles(&self, positions: &[u32], head_size: usize, base: f32) -> Tensor {
        Tensor { width: head_size, data: rotary::angles(positions, head_size, base) }
    }

    fn rotate(&self, mut x: Tensor, angles: &Tensor) -> Tensor {
        let width = x.width;
        rotary::rotate(&mut x.data, [width, width], &angles.data, angles.width);
        x
    }

    fn split<const N: usize>(&self, x: Tensor) -> [Tensor; N] {
        let width = x.width / N;
        std::array::from_fn(|part| {
            let rows = x.data.chunks_exact(x.width);
            let data = rows.flat_map(|row| &row[part * width..(part + 1) * width]).copied();
            Tensor { width, data: data.collect() }
        })
    }

    fn neighbours(&self, x: &Tensor, offsets: &[usize], shifts: &[isize]) -> Tensor {
        let width = x.width * shifts.len();
        let mut data = Vec::with_capacity(x.data.len() * shifts.len());
        for row in offsets.windows(2).map(|row| row[0]..row[1]) {
            for (place, shift) in row.clone().flat_map(|p| shifts.iter().map(move |s| (p, s))) {
                match place.checked_add_signed(*shift).filter(|other| row.contains(other)) {
                    Some(other) => data.extend_from_slice(x.row(other)),
                    None => data.resize(data.len() + x.width, 0.0),
                }
            }
        }
        Tensor { width, data }
    }

    fn select(&self, x: &Tensor, places: &[u32]) -> Tensor {
        let rows = places.iter().flat_map(|place| x.row(*place as usize));
        Tensor { width: x.width, data: rows.copied().collect() }
    }

    fn pool(&self, x: &Tensor, offsets: &[usize], modes: &[Pooling]) -> Tensor {
        let width = x.width * modes.len();
        let mut data = vec![0.0; (offsets.len() - 1) * width];
        for (out, row) in data.chunks_exact_mut(width).zip(offsets.windows(2)) {
            let tokens = &x.data[row[0] * x.width..row[1] * x.width];
            for (out, mode) in out.chunks_exact_mut(x.width).zip(modes) {
                pool_row(tokens, *mode, out);
            }
        }
        Tensor { width, data }
    }

    fn normalize(&self, mut x: Tensor) -> Tensor {
        norm::l2_normalize(&mut x.data, x.width);
        x
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

/// Pools `tokens [length, out.len()]`, at least one, into `out`.
fn pool_row(tokens: &[f32], mode: Pooling, out: &mut [f32]) {
    let width = out.len();
    let length = tokens.len() / width;
    let rows = tokens.chunks_exact(width);
    match mode {
        Pooling::Cls => out.copy_from_slice(&tokens[..width]),
        Pooling::LastToken => out.copy_from_slice(&tokens[tokens.len() - width..]),
        Pooling::Max => {
            out.fill(f32::NEG_INFINITY);
            rows.for_each(|row| out.iter_mut().zip(row).for_each(|(out, x)| *out = out.max(*x)));
        }
        Pooling::Mean | Pooling::MeanSqrtLength => {
            rows.for_each(|row| elementwise::add(out, row));
            let total = if mode == Pooling::Mean { length as f32 } else { (length as f32).sqrt() };
            out.iter_mut().for_each(|x| *x /= total);
        }
        Pooling::WeightedMean => {
            for (place, row) in rows.enumerate() {
                let weight = (place + 1) as f32;
                out.iter_mut().zip(row).for_each(|(out, x)| *out += weight * x);
            }
            let total = (length * (length + 1) / 2) as f32;
            out.iter_mut().for_each(|x| *x /= total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: two rows of two and one tokens.
    #[test]
    fn neighbours_end_with_their_row() {
        let x = Tensor { width: 1, data: vec![1.0, 2.0, 3.0] };
        let seen = NativeOps::new(1).neighbours(&x, &[0, 2, 3], &[1, 0, -1]);
        assert_eq!(seen.data, [2.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 3.0, 0.0]);
    }

    #[test]
    fn parts_and_gates_are_cut_from_every_token() {
        let x = Tensor { width: 4, data: vec![1.0, 2.0, 3.0, 4.0, -5.0, 6.0, 7.0, 8.0] };
        let [first, second] = NativeOps::new(1).split(x.clone());
        assert_eq!(first.data, [1.0, 2.0, -5.0, 6.0]);
        assert_eq!(second.data, [3.0, 4.0, 7.0, 8.0]);
        let gated = NativeOps::new(1).gated(&x, Activation::Relu);
        assert_eq!(gated.data, [3.0, 8.0, 0.0, 48.0]);
        assert_eq!(NativeOps::new(1).select(&x, &[1, 0]).data[..4], x.data[4..]);
    }

    /// Expected values by hand from the definitions.
    #[test]
    fn poolings_of_two_rows() {
        let x = Tensor { width: 2, data: vec![1.0, 8.0, 3.0, 2.0, 5.0, 5.0, 7.0, -1.0] };
        let modes = [
            Pooling::Cls,
            Pooling::Max,
            Pooling::Mean,
            Pooling::MeanSqrtLength,
            Pooling::WeightedMean,
            Pooling::LastToken,
        ];
        let pooled = NativeOps::new(1).pool(&x, &[0, 1, 4], &modes);
        assert_eq!(pooled.width, 12);
        assert_eq!(pooled.data[..12], [1.0, 8.0].repeat(6));
        let root = 3.0f32.sqrt();
        let want = [
            3.0,
            2.0,
            7.0,
            5.0,
            5.0,
            2.0,
            15.0 / root,
            6.0 / root,
            34.0 / 6.0,
            9.0 / 6.0,
            7.0,
            -1.0,
        ];
        for (got, want) in pooled.data[12..].iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }
}
