//! The coarse operations over the CPU kernels.

use mlxq_kernels::gemm::PackedMatrix;
use mlxq_kernels::{activation, attention, elementwise, norm};
use mlxq_models::{Activation, AttentionSpec, Ops, Pooling};

use super::table::Table;

/// The native engine's operations: f32 activations on the CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeOps;

/// Row-major activations, `[rows, width]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Length of each row.
    pub width: usize,
    /// The elements.
    pub data: Vec<f32>,
}

/// A linear layer: a packed matrix and its bias.
#[derive(Debug)]
pub struct Linear {
    pub(super) weight: PackedMatrix,
    pub(super) bias: Option<Vec<f32>>,
}

/// A LayerNorm's parameters.
#[derive(Debug)]
pub struct Norm {
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) epsilon: f32,
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

    fn linear(&self, x: &Tensor, layer: &Linear, function: Activation) -> Tensor {
        let width = layer.weight.output();
        let mut data = vec![0.0; x.data.len() / x.width * width];
        layer.weight.multiply(&x.data, &mut data, |block| {
            if let Some(bias) = &layer.bias {
                elementwise::add_row(block, bias);
            }
            activate(block, function);
        });
        Tensor { width, data }
    }

    fn layer_norm(&self, mut x: Tensor, layer: &Norm) -> Tensor {
        norm::layer_norm(&mut x.data, &layer.weight, &layer.bias, layer.epsilon);
        x
    }

    fn attention(
        &self,
        query_key_value: [&Tensor; 3],
        offsets: &[usize],
        spec: &AttentionSpec,
    ) -> Tensor {
        let width = query_key_value[0].width;
        let inputs = query_key_value.map(|x| x.data.as_slice());
        Tensor { width, data: attention::bidirectional(inputs, offsets, spec.heads, spec.scale) }
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

fn activate(x: &mut [f32], function: Activation) {
    match function {
        Activation::Identity => {}
        Activation::Gelu => activation::gelu(x),
        Activation::GeluTanh => activation::gelu_tanh(x),
        Activation::Relu => activation::relu(x),
        Activation::Silu => activation::silu(x),
        Activation::Tanh => activation::tanh(x),
    }
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
        let pooled = NativeOps.pool(&x, &[0, 1, 4], &modes);
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
