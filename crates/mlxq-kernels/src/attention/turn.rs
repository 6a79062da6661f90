//! Rows of numbers turned into columns, sixteen by sixteen.

use super::Rows;
use super::machine::{LANES, Lanes, Machine};

/// Sixteen vectors.
pub(super) type Block = [Lanes; LANES];

/// `panel[i][r] = rows[r][i] * factor` for `count` rows, at most sixteen, and 0 for the others. The
/// panel holds whole blocks, of which the part beyond the rows' `width` is 0 too.
#[inline(always)]
pub(super) fn turn_rows<M: Machine>(
    machine: M,
    rows: Rows,
    [count, width]: [usize; 2],
    factor: f32,
    panel: &mut [Lanes],
) {
    let mut block = [[0.0; LANES]; LANES];
    for (place, out) in panel.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let columns = place * LANES..width.min((place + 1) * LANES);
        for (r, lanes) in block.iter_mut().enumerate().take(count) {
            let row = &rows.row(r, width)[columns.clone()];
            let row = match row.first_chunk() {
                Some(row) => machine.load(row),
                None => {
                    let mut whole = [0.0; LANES];
                    whole[..row.len()].copy_from_slice(row);
                    machine.load(&whole)
                }
            };
            machine.store(machine.multiply(row, machine.splat(factor)), lanes);
        }
        turn(&block, out);
    }
}

/// `out[i][r] = block[r][i]`, four by four.
#[inline(always)]
pub(super) fn turn(block: &Block, out: &mut Block) {
    for i in (0..LANES).step_by(4) {
        for j in (0..LANES).step_by(4) {
            turn_four(block, [i, j], out);
        }
    }
}

/// [`turn`] of the four rows from `i` on and the four columns from `j` on, by interleaving twice.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_four(block: &Block, [i, j]: [usize; 2], out: &mut Block) {
    use std::arch::x86_64::{_mm_loadu_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};
    // SAFETY: every x86-64 machine has SSE2, and the slices, four numbers each, are checked.
    unsafe {
        let row = |r: usize| _mm_loadu_ps(block[i + r][j..j + 4].as_ptr());
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        let (even_low, even_high) = (_mm_unpacklo_ps(a, c), _mm_unpackhi_ps(a, c));
        let (odd_low, odd_high) = (_mm_unpacklo_ps(b, d), _mm_unpackhi_ps(b, d));
        let columns = [
            _mm_unpacklo_ps(even_low, odd_low),
            _mm_unpackhi_ps(even_low, odd_low),
            _mm_unpacklo_ps(even_high, odd_high),
            _mm_unpackhi_ps(even_high, odd_high),
        ];
        for (c, column) in columns.into_iter().enumerate() {
            _mm_storeu_ps(out[j + c][i..i + 4].as_mut_ptr(), column);
        }
    }
}

/// The same, as the compiler finds it best.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn turn_four(block: &Block, [i, j]: [usize; 2], out: &mut Block) {
    for (c, column) in out[j..j + 4].iter_mut().enumerate() {
        for (number, row) in column[i..i + 4].iter_mut().zip(&block[i..i + 4]) {
            *number = row[j + c];
        }
    }
}

/// `x[m][l] := x[m + 15 - l][l]`, where there is such a vector: what was told by distance, from the
/// nearest in lane 15 on, is told by place. Each lane moves in steps of 1, 2, 4 and 8 vectors.
#[inline(always)]
pub(super) fn shear(x: &mut [Lanes]) {
    shear_by::<1>(x);
    shear_by::<2>(x);
    shear_by::<4>(x);
    shear_by::<8>(x);
}

#[inline(always)]
fn shear_by<const STEP: usize>(x: &mut [Lanes]) {
    for m in STEP..x.len() {
        let (after, here) = (x[m], &mut x[m - STEP]);
        for (l, (lane, after)) in here.iter_mut().zip(after).enumerate() {
            *lane = if (LANES - 1 - l) & STEP == 0 { *lane } else { after };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Block {
        std::array::from_fn(|r| std::array::from_fn(|c| (r * LANES + c) as f32))
    }

    #[test]
    fn rows_become_columns() {
        let (block, mut turned) = (counted(), [[0.0; LANES]; LANES]);
        turn(&block, &mut turned);
        for (r, row) in block.iter().enumerate() {
            assert!((0..LANES).all(|c| turned[c][r] == row[c]));
        }
    }

    #[test]
    fn what_is_missing_is_zero() {
        let data = [1.0, 2.0, 3.0, 9.0, 4.0, 5.0, 6.0];
        let mut panel = [[7.0; LANES]; LANES];
        turn_rows(crate::simd::Portable, Rows { data: &data, stride: 4 }, [2, 3], 2.0, &mut panel);
        let mut want = [[0.0; LANES]; LANES];
        for (c, [a, b]) in [[2.0, 8.0], [4.0, 10.0], [6.0, 12.0]].into_iter().enumerate() {
            want[c][..2].copy_from_slice(&[a, b]);
        }
        assert_eq!(panel, want);
    }

    #[test]
    fn lanes_move_by_their_distance_from_the_last() {
        let mut x = [counted(), counted().map(|row| row.map(|x| x + 256.0))].concat();
        let before = x.clone();
        shear(&mut x);
        for m in 0..=LANES {
            assert!((0..LANES).all(|l| x[m][l] == before[m + LANES - 1 - l][l]), "{m}");
        }
    }
}
