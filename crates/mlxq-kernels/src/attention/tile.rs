//! The inner loops: products of a few vectors with sixteen tokens at once, summed in registers.

use super::Rows;
use super::machine::{Lanes, Machine};

/// Calls `$tile::<M, R>($args)` with the number of vectors `$count` known to the compiler as `R`.
macro_rules! sized {
    ($count:expr => $tile:ident::<$machine:ty>($($arg:expr),*)) => {
        match $count {
            1 => $tile::<$machine, 1>($($arg),*),
            2 => $tile::<$machine, 2>($($arg),*),
            3 => $tile::<$machine, 3>($($arg),*),
            4 => $tile::<$machine, 4>($($arg),*),
            5 => $tile::<$machine, 5>($($arg),*),
            6 => $tile::<$machine, 6>($($arg),*),
            7 => $tile::<$machine, 7>($($arg),*),
            _ => $tile::<$machine, 8>($($arg),*),
        }
    };
}

/// `out[r] = sum over i of row(r)[i] * panel[i]`, added to what `out` holds if `add` says so; one `i`
/// after the other. Rows are as long as the panel.
#[inline(always)]
pub(super) fn multiply<'a, M: Machine>(
    machine: M,
    row: impl Fn(usize) -> &'a [f32],
    panel: &[Lanes],
    out: &mut [Lanes],
    add: bool,
) {
    let tiles = out.len().div_ceil(M::ROWS);
    let mut first = 0;
    for tile in 1..=tiles {
        let end = out.len() * tile / tiles;
        let out = &mut out[first..end];
        sized!(out.len() => multiply_tile::<M>(machine, |r| row(first + r), panel, out, add));
        first = end;
    }
}

#[inline(always)]
fn multiply_tile<'a, M: Machine, const R: usize>(
    machine: M,
    row: impl Fn(usize) -> &'a [f32],
    panel: &[Lanes],
    out: &mut [Lanes],
    add: bool,
) {
    let nothing: &[f32] = &[];
    let (mut rows, mut sums) = ([nothing; R], [machine.splat(0.0); R]);
    for (r, part) in rows.iter_mut().enumerate() {
        *part = row(r);
    }
    // Said once here, so that it need not be asked for every number.
    assert!(rows.iter().all(|row| row.len() == panel.len()) && out.len() == R, "shapes");
    if add {
        for (sum, out) in sums.iter_mut().zip(&*out) {
            *sum = machine.load(out);
        }
    }
    for (i, lanes) in panel.iter().enumerate() {
        let lanes = machine.load(lanes);
        for (sum, row) in sums.iter_mut().zip(&rows) {
            *sum = machine.multiply_add(machine.splat(row[i]), lanes, *sum);
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        machine.store(sum, out);
    }
}

/// `out[c] = sum over k of rows[k][c] * weights[k]`, one `k` after the other.
#[inline(always)]
pub(super) fn mix<M: Machine>(machine: M, rows: Rows, weights: &[Lanes], out: &mut [Lanes]) {
    let tiles = out.len().div_ceil(M::ROWS);
    let mut first = 0;
    for tile in 1..=tiles {
        let end = out.len() * tile / tiles;
        let out = &mut out[first..end];
        sized!(out.len() => mix_tile::<M>(machine, rows.from(0, first), weights, out));
        first = end;
    }
}

#[inline(always)]
fn mix_tile<M: Machine, const R: usize>(
    machine: M,
    rows: Rows,
    weights: &[Lanes],
    out: &mut [Lanes],
) {
    let mut sums = [machine.splat(0.0); R];
    assert!(out.len() == R, "shapes");
    for (row, lanes) in rows.data.chunks(rows.stride).zip(weights) {
        let (lanes, row) = (machine.load(lanes), &row[..R]);
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum = machine.multiply_add(machine.splat(*value), lanes, *sum);
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        machine.store(sum, out);
    }
}
