//! Rows of numbers turned into columns, sixteen by sixteen.

use super::Rows;
use super::machine::{LANES, Lanes};

/// Sixteen vectors.
pub(super) type Block = [Lanes; LANES];

/// `panel[i][r] = rows[r][i] * factor` for `count` rows, at most sixteen, and 0 for the others. The
/// panel holds whole blocks, of which the part beyond the rows' `width` is 0 too.
#[inline(always)]
pub(super) fn turn_rows(rows: Rows, [count, width]: [usize; 2], factor: f32, panel: &mut [Lanes]) {
    let mut block = [[0.0; LANES]; LANES];
    for (place, out) in panel.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let columns = place * LANES..width.min((place + 1) * LANES);
        for (r, lanes) in block.iter_mut().enumerate().take(count) {
            let row = &rows.row(r, width)[columns.clone()];
            match row.first_chunk() {
                Some(row) => *lanes = *row,
                None => {
                    *lanes = [0.0; LANES];
                    lanes[..row.len()].copy_from_slice(row);
                }
            }
            for number in lanes {
                *number *= factor;
            }
        }
        turn(&block, out);
    }
}

/// `out[i][r] = block[r][i]`.
#[inline(always)]
pub(super) fn turn(block: &Block, out: &mut Block) {
    for i in (0..LANES).step_by(4) {
        for j in (0..LANES).step_by(4) {
            let part = |r: usize| block[i + r][j..].first_chunk().copied().unwrap_or_default();
            let columns = turn_four([part(0), part(1), part(2), part(3)]);
            for (c, column) in columns.iter().enumerate() {
                out[j + c][i..i + 4].copy_from_slice(column);
            }
        }
    }
}

/// Four by four, by interleaving twice.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn_four(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use std::arch::x86_64::{__m128, _mm_unpackhi_ps, _mm_unpacklo_ps};
    // SAFETY: four numbers and a register of four numbers are the same bytes, and every x86-64
    // machine has SSE2.
    unsafe {
        let [a, b, c, d]: [__m128; 4] = std::mem::transmute(rows);
        let (even_low, even_high) = (_mm_unpacklo_ps(a, c), _mm_unpackhi_ps(a, c));
        let (odd_low, odd_high) = (_mm_unpacklo_ps(b, d), _mm_unpackhi_ps(b, d));
        std::mem::transmute([
            _mm_unpacklo_ps(even_low, odd_low),
            _mm_unpackhi_ps(even_low, odd_low),
            _mm_unpacklo_ps(even_high, odd_high),
            _mm_unpackhi_ps(even_high, odd_high),
        ])
    }
}

/// Four by four.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn turn_four(rows: [[f32; 4]; 4]) -> [[f32; 4]; 4] {
    let mut columns = [[0.0; 4]; 4];
    for (c, column) in columns.iter_mut().enumerate() {
        for (number, row) in column.iter_mut().zip(&rows) {
            *number = row[c];
        }
    }
    columns
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
        turn_rows(Rows { data: &data, stride: 4 }, [2, 3], 2.0, &mut panel);
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
