//! The token vectors of a row as one vector.

use mlxq_kernels::elementwise;
use mlxq_models::Pooling;

/// Pools `tokens [length, out.len()]`, at least one, into `out`, whatever it held.
pub(super) fn pool_row(tokens: &[f32], mode: Pooling, out: &mut [f32]) {
    let width = out.len();
    let length = tokens.len() / width;
    let rows = tokens.chunks_exact(width);
    out.fill(0.0);
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
        let rows = [vec![1.0, 8.0], vec![3.0, 2.0, 5.0, 5.0, 7.0, -1.0]];
        let modes = [
            Pooling::Cls,
            Pooling::Max,
            Pooling::Mean,
            Pooling::MeanSqrtLength,
            Pooling::WeightedMean,
            Pooling::LastToken,
        ];
        let pooled = |row: &[f32]| {
            let mut out = [0.0; 12];
            let parts = out.chunks_exact_mut(2).zip(modes);
            parts.for_each(|(out, mode)| pool_row(row, mode, out));
            out
        };
        assert_eq!(pooled(&rows[0])[..], [1.0, 8.0].repeat(6));
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
        for (got, want) in pooled(&rows[1]).iter().zip(want) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
    }
}
