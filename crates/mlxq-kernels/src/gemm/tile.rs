//! The inner loops: a few rows of activations times a block of one panel, summed in registers.

#[cfg(target_arch = "x86_64")]
use crate::isa::Isa;

/// Output features of a panel.
pub(super) const COLUMNS: usize = 16;
/// Rows of a tile.
pub(super) const ROWS: usize = 6;

/// Adds to `sums[r]` the sum over the block's inputs of `x[r, i] * block[i]`, one input after the other,
/// for all rows of `x [rows, input]`; `first` is the block's first input, and the block that begins with
/// input 0 begins from zero and not from what `sums` holds.
///
/// Where the machine has fused multiply-add it is used, which rounds once instead of twice.
pub(super) fn add(
    x: &[f32],
    input: usize,
    first: usize,
    block: &[[f32; COLUMNS]],
    sums: &mut [[f32; COLUMNS]],
) {
    let x = Inputs { x, input, first };
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,fma")]
        fn avx512(x: Inputs, block: &[[f32; COLUMNS]], sums: &mut [[f32; COLUMNS]]) {
            add_rows::<true>(x, block, sums);
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(x: Inputs, block: &[[f32; COLUMNS]], sums: &mut [[f32; COLUMNS]]) {
            add_rows::<true>(x, block, sums);
        }
        match Isa::current() {
            // SAFETY: `avx512` needs only features that `Avx512` proves.
            Isa::Avx512(_) => return unsafe { avx512(x, block, sums) },
            // SAFETY: `avx2` needs only features that `Avx2` proves.
            Isa::Avx2(_) => return unsafe { avx2(x, block, sums) },
            Isa::Portable(_) => {}
        }
    }
    // Every aarch64 machine has fused multiply-add.
    add_rows::<{ cfg!(target_arch = "aarch64") }>(x, block, sums);
}

/// Rows of `input` numbers, and the first of them that belongs to a block.
#[derive(Clone, Copy)]
struct Inputs<'a> {
    x: &'a [f32],
    input: usize,
    first: usize,
}

/// [`add`], tile by tile, with the number of a tile's rows known to the compiler, so that the sums stay
/// in registers.
#[inline(always)]
fn add_rows<const FUSED: bool>(x: Inputs, block: &[[f32; COLUMNS]], sums: &mut [[f32; COLUMNS]]) {
    for (tile, sums) in sums.chunks_mut(ROWS).enumerate() {
        let x = Inputs { x: &x.x[tile * ROWS * x.input..], ..x };
        macro_rules! tile {
            ($($count:literal)*) => {
                match sums.len() {
                    $($count => if let Some(sums) = sums.first_chunk_mut::<$count>() {
                        add_tile::<$count, FUSED>(x, block, sums);
                    },)*
                    _ => {}
                }
            };
        }
        tile!(1 2 3 4 5 6);
    }
}

#[inline(always)]
fn add_tile<const R: usize, const FUSED: bool>(
    Inputs { x, input, first }: Inputs,
    block: &[[f32; COLUMNS]],
    sums: &mut [[f32; COLUMNS]; R],
) {
    let (depth, nothing): (_, &[f32]) = (block.len(), &[]);
    let mut rows = [nothing; R];
    let mut totals = [[0.0f32; COLUMNS]; R];
    for (r, row) in rows.iter_mut().enumerate() {
        *row = &x[r * input + first..][..depth];
    }
    if first > 0 {
        for (total, sums) in totals.iter_mut().zip(&*sums) {
            *total = *sums;
        }
    }
    let totals = accumulate::<R, FUSED>(rows, block, totals);
    for (sums, total) in sums.iter_mut().zip(totals) {
        *sums = total;
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
