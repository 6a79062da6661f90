//! The result, written by several threads at once.

use std::marker::PhantomData;

/// The columns of one head in a matrix that others write their columns of at the same time.
pub(super) struct Columns<'a> {
    start: *mut f32,
    width: usize,
    /// Rows from the first on, and columns.
    rows: usize,
    columns: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

/// A matrix whose rows and columns are given out in disjoint parts.
pub(super) struct Output<'a> {
    start: *mut f32,
    length: usize,
    width: usize,
    matrix: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a mutable borrow of numbers, and `part` asks its callers for disjoint parts.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    /// `matrix [rows, width]`.
    pub(super) fn new(matrix: &'a mut [f32], width: usize) -> Self {
        let (start, length) = (matrix.as_mut_ptr(), matrix.len());
        Self { start, length, width, matrix: PhantomData }
    }

    /// The part of `rows` rows from `row` on and `columns` columns from `column` on.
    ///
    /// # Safety
    /// As long as the part lives, no other one writes the same element.
    ///
    /// # Panics
    /// When the matrix does not hold the part.
    pub(super) unsafe fn part(
        &self,
        [row, rows]: [usize; 2],
        [column, columns]: [usize; 2],
    ) -> Columns<'_> {
        let holds = (row + rows) * self.width <= self.length && column + columns <= self.width;
        assert!(holds, "part of the result");
        // SAFETY: the assertion keeps the place inside the matrix, or at its end if the part is empty.
        let start = unsafe { self.start.add(row * self.width + column) };
        Columns { start, width: self.width, rows, columns, matrix: PhantomData }
    }
}

impl Columns<'_> {
    /// Writes `numbers` to row `row` from the column `column` on.
    ///
    /// # Panics
    /// When the part does not hold them.
    #[inline(always)]
    pub(super) fn write(&self, row: usize, column: usize, numbers: &[f32]) {
        assert!(row < self.rows && column + numbers.len() <= self.columns, "place of the result");
        // SAFETY: the assertion keeps the place inside the part, which nothing else refers to
        // (`Output::part`), and `numbers` is another slice.
        unsafe {
            let to = self.start.add(row * self.width + column);
            std::ptr::copy_nonoverlapping(numbers.as_ptr(), to, numbers.len());
        }
    }
}
