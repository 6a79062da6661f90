//! Rotary position embeddings (Su et al. 2021), in the form that turns element `i` of a head's vector
//! with element `i + head_size / 2`.

use crate::isa::multiversion;

/// The cosines, then the sines of `position * base^(-2 i / head_size)`, each `head_size / 2` numbers
/// for every position: `[positions, head_size]`. The angles are f32 products of f32 numbers, as in
/// transformers.
pub fn angles(positions: &[u32], head_size: usize, base: f32) -> Vec<f32> {
    let half = head_size / 2;
    let frequency = |i: usize| 1.0 / base.powf((2 * i) as f32 / head_size as f32);
    let frequencies: Vec<f32> = (0..half).map(frequency).collect();
    let mut out = Vec::with_capacity(positions.len() * head_size);
    for position in positions {
        let angle = |frequency: &f32| *position as f32 * frequency;
        out.extend(frequencies.iter().map(|frequency| angle(frequency).cos()));
        out.extend(frequencies.iter().map(|frequency| angle(frequency).sin()));
    }
    out
}

multiversion! {
    /// Turns every head's vector in the first columns of `x [tokens, width]` by the angles of its
    /// token, `[tokens, head_size]` as [`angles`] gives them. `shape` is the width and the number of
    /// those columns: queries and keys that lie before their values are turned in one call.
    pub fn rotate(x: &mut [f32], shape: [usize; 2], angles: &[f32], head_size: usize) {
        let [width, columns] = shape;
        let half = head_size / 2;
        for (x, angles) in x.chunks_exact_mut(width).zip(angles.chunks_exact(head_size)) {
            let (cosines, sines) = angles.split_at(half);
            for head in x[..columns].chunks_exact_mut(head_size) {
                let (low, high) = head.split_at_mut(half);
                for i in 0..half {
                    let (a, b) = (low[i], high[i]);
                    low[i] = a * cosines[i] - b * sines[i];
                    high[i] = b * cosines[i] + a * sines[i];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: at position 1 the first pair is turned by 1, the second, at base 100, by 0.1.
    #[test]
    fn pairs_turn_by_their_frequencies() {
        let angles = angles(&[0, 1], 4, 100.0);
        assert_eq!(angles[..4], [1.0, 1.0, 0.0, 0.0]);
        let mut x = [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 0.0, 0.0];
        rotate(&mut x, [4, 4], &angles, 4);
        assert_eq!(x[..4], [1.0, 2.0, 3.0, 4.0]);
        let want = [1f64.cos(), 2.0 * 0.1f64.cos(), 1f64.sin(), 2.0 * 0.1f64.sin()];
        for (got, want) in x[4..].iter().zip(want) {
            assert!((f64::from(*got) - want).abs() < 1e-6, "{got} {want}");
        }
    }

    /// Two heads are turned alike.
    #[test]
    fn heads_turn_alike() {
        let angles = angles(&[3], 2, 10.0);
        let mut x = [1.0, 2.0, 1.0, 2.0];
        rotate(&mut x, [4, 4], &angles, 2);
        assert_eq!(x[..2], x[2..]);
        let mut part = [1.0, 2.0, 1.0, 2.0];
        rotate(&mut part, [4, 2], &angles, 2);
        assert_eq!(part, [x[0], x[1], 1.0, 2.0]);
    }
}
