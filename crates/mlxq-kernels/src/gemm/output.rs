//! Where products go: blocks of a matrix that jobs write side by side.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix `[rows, width]` of which every job writes a block of its own.
pub(super) struct Output<'a> {
    data: *mut f32,
    rows: usize,
    width: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: it only hands out parts, and who asks for one promises that nobody else has it
// (`Output::part`), so threads never share a number.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    /// The matrix `data`, whose rows are `width` long.
    pub(super) fn new(data: &'a mut [f32], width: usize) -> Self {
        Self { data: data.as_mut_ptr(), rows: data.len() / width, width, borrowed: PhantomData }
    }

    /// Length of a row.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The columns `columns` of a row.
    ///
    /// # Safety
    /// Nobody else may hold a part of that row with some of these columns.
    ///
    /// # Panics
    /// When the matrix does not have them.
    #[expect(clippy::mut_from_ref, reason = "parts are disjoint, as the caller promises")]
    pub(super) unsafe fn part(&self, row: usize, columns: Range<usize>) -> &mut [f32] {
        assert!(row < self.rows && columns.start <= columns.end && columns.end <= self.width);
        // SAFETY: the assertion keeps the part inside the matrix, which is borrowed mutably for as long
        // as `self` lives, and the caller promises that the part is its own.
        unsafe {
            let start = self.data.add(row * self.width + columns.start);
            std::slice::from_raw_parts_mut(start, columns.len())
        }
    }
}
