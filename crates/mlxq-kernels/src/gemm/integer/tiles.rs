//! How rows are shared out among tiles, whose sums stay in registers.

use super::super::codes::Panel;
use super::{IntegerRows, Sums};

/// The inner loops of one instruction set, over activations of type `T`.
pub(super) trait Tile<T>: Copy {
    /// Most rows of a tile, at most 6.
    const ROWS: usize;

    /// The products of the `R` rows from `first` on.
    ///
    /// It must be `#[inline(always)]`: only what is inlined into an entry with the instructions enabled
    /// is compiled for them.
    fn tile<const R: usize>(
        self,
        panel: Panel,
        rows: IntegerRows<T>,
        first: usize,
        out: &mut [Sums; R],
    );
}

/// The products of all rows, in tiles as equal as can be, since a tile of few rows is slow.
#[inline(always)]
pub(super) fn all<T: Copy, K: Tile<T>>(
    kernel: K,
    panel: Panel,
    rows: IntegerRows<T>,
    out: &mut [Sums],
) {
    assert_eq!(rows.rows(), out.len(), "rows");
    let tiles = out.len().div_ceil(K::ROWS);
    let mut first = 0;
    for tile in 0..tiles {
        let end = (tile + 1) * out.len() / tiles;
        let sums = &mut out[first..end];
        macro_rules! tile {
            ($($count:literal)*) => {
                match sums.len() {
                    $($count => if let Some(sums) = sums.first_chunk_mut::<$count>() {
                        kernel.tile(panel, rows, first, sums);
                    },)*
                    _ => {}
                }
            };
        }
        tile!(1 2 3 4 5 6);
        first = end;
    }
}
