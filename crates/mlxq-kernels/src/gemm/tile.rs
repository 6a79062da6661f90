//! The inner loops: a few rows of activations times a block of one panel, summed in registers.

#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;

/// Output features of a panel.
pub(super) const COLUMNS: usize = 16;
/// Rows of a tile.
pub(super) const ROWS: usize = 6;

/// Where a block stands in the matrices.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Length of a row of `x`, and the first of its inputs that belongs to the block.
    pub(super) input: usize,
    pub(super) first_input: usize,
    /// Length of a row of `out`, and the panel's first column and number of columns there.
    pub(super) width: usize,
    pub(super) first_column: usize,
    pub(super) columns: usize,
}

/// Adds to `out[r, o]` the sum over the block's inputs of `x[r, i] * block[i, o]`, one input after the
/// other, for all rows; the block with the first input begins from zero and not from what `out` holds.
///
/// Where the machine has fused multiply-add it is used, which rounds once instead of twice.
pub(super) fn add(x: &[f32], block: &[[f32; COLUMNS]], out: &mut [f32], place: Place) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,fma")]
        fn avx512(x: &[f32], block: &[[f32; COLUMNS]], out: &mut [f32], place: Place) {
            add_rows::<true>(x, block, out, place);
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(x: &[f32], block: &[[f32; COLUMNS]], out: &mut [f32], place: Place) {
            add_rows::<true>(x, block, out, place);
        }
        match Isa::current() {
            // SAFETY: `avx512` needs only features that `Avx512` proves.
            Isa::Avx512(_) => return unsafe { avx512(x, block, out, place) },
            // SAFETY: `avx2` needs only features that `Avx2` proves.
            Isa::Avx2(_) => return unsafe { avx2(x, block, out, place) },
            Isa::Portable(_) => {}
        }
    }
    // Every aarch64 machine has fused multiply-add.
    add_rows::<{ cfg!(target_arch = "aarch64") }>(x, block, out, place);
}

/// [`add`], tile by tile, with the number of a tile's rows known to the compiler, so that the sums stay
/// in registers.
#[inline(always)]
fn add_rows<const FUSED: bool>(x: &[f32], block: &[[f32; COLUMNS]], out: &mut [f32], place: Place) {
    let tiles = x.chunks(ROWS * place.input).zip(out.chunks_mut(ROWS * place.width));
    for (x, out) in tiles {
        match x.len() / place.input {
            1 => add_tile::<1, FUSED>(x, block, out, place),
            2 => add_tile::<2, FUSED>(x, block, out, place),
            3 => add_tile::<3, FUSED>(x, block, out, place),
            4 => add_tile::<4, FUSED>(x, block, out, place),
            5 => add_tile::<5, FUSED>(x, block, out, place),
            _ => add_tile::<6, FUSED>(x, block, out, place),
        }
    }
}

#[inline(always)]
fn add_tile<const R: usize, const FUSED: bool>(
    x: &[f32],
    block: &[[f32; COLUMNS]],
    out: &mut [f32],
    place: Place,
) {
    let Place { input, first_input, width, first_column, columns } = place;
    let (depth, nothing): (_, &[f32]) = (block.len(), &[]);
    let mut rows = [nothing; R];
    let mut sums = [[0.0f32; COLUMNS]; R];
    for (row, part) in rows.iter_mut().enumerate() {
        *part = &x[row * input + first_input..][..depth];
    }
    if first_input > 0 {
        for (row, sums) in sums.iter_mut().enumerate() {
            *sums = load(&out[row * width + first_column..][..columns]);
        }
    }
    let sums = accumulate::<R, FUSED>(rows, block, sums);
    for (row, sums) in sums.into_iter().enumerate() {
        store(sums, &mut out[row * width + first_column..][..columns]);
    }
}

/// `sums[r] + sum over i of rows[r][i] * block[i]`, for rows as long as the block.
#[inline(always)]
fn accumulate<const R: usize, const FUSED: bool>(
    rows: [&[f32]; R],
    block: &[[f32; COLUMNS]],
    mut sums: [[f32; COLUMNS]; R],
) -> [[f32; COLUMNS]; R] {
    // Said once here, so that it need not be asked for every number.
    assert!(rows.iter().all(|row| row.len() == block.len()), "depth");
    for (i, weights) in block.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let value = row[i];
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = if FUSED { value.mul_add(*weight, *sum) } else { value * *weight + *sum };
            }
        }
    }
    sums
}

/// A row of sums, which is nearly always whole.
#[inline(always)]
fn load(from: &[f32]) -> [f32; COLUMNS] {
    from.first_chunk().copied().unwrap_or_else(|| {
        let mut sums = [0.0; COLUMNS];
        sums[..from.len()].copy_from_slice(from);
        sums
    })
}

/// Writes what [`load`] reads.
#[inline(always)]
fn store(sums: [f32; COLUMNS], to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(to) => *to = sums,
        None => to.copy_from_slice(&sums[..to.len()]),
    }
}
