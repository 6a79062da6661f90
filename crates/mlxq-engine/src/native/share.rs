//! Work on the rows of an output, shared out among the threads of a pool.

use std::sync::{Mutex, PoisonError};

use mlxq_kernels::pool::Pool;

/// Numbers that are worth handing to another thread: a pass over them takes tens of microseconds, the
/// hand-over a few.
const WORTH_SHARING: usize = 1 << 15;

/// Calls `job(first, part)` for parts of the rows of `out [rows, width]`, which begin with the row
/// `first`.
pub(super) fn rows(
    pool: &Pool,
    out: &mut [f32],
    width: usize,
    job: impl Fn(usize, &mut [f32]) + Sync,
) {
    let parts = (out.len() / WORTH_SHARING).clamp(1, pool.threads());
    if parts == 1 {
        return job(0, out);
    }
    let some = (out.len() / width).div_ceil(parts);
    let chunks = Mutex::new(out.chunks_mut(some * width).enumerate());
    pool.run(parts, |_| {
        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
        if let Some((place, part)) = next {
            job(place * some, part);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_visited_once() {
        let width = 1000;
        for (threads, rows_in_all) in [(1, 70), (3, 131), (4, 2), (7, 331)] {
            let mut out = vec![0.0; rows_in_all * width];
            rows(&Pool::new(threads), &mut out, width, |first, part| {
                for (row, part) in part.chunks_exact_mut(width).enumerate() {
                    part.iter_mut().for_each(|x| *x += (first + row + 1) as f32);
                }
            });
            let good = |(row, part): (usize, &[f32])| part.iter().all(|x| *x == (row + 1) as f32);
            assert!(out.chunks_exact(width).enumerate().all(good), "{threads} threads");
        }
    }
}
