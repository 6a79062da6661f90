//! Small products of strided views, through the `gemm` crate, which packs its right side at every call.

/// A matrix view with strides in elements.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Matrix<'_> {
    fn holds(&self, rows: usize, columns: usize) -> bool {
        let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
        last < self.data.len()
    }
}

/// `out = a b` on one thread, for `a [m, k]`, `b [k, n]` and `out [m, n]`, row-major.
///
/// # Panics
/// When a dimension is 0 or a matrix does not hold its elements.
pub(crate) fn product([m, n, k]: [usize; 3], a: Matrix, b: Matrix, out: &mut [f32]) {
    assert!(m > 0 && n > 0 && k > 0, "empty product");
    assert!(a.holds(m, k) && b.holds(k, n) && out.len() == m * n, "shapes");
    // SAFETY: the assertions above keep every element that the strides reach inside its slice, and
    // `out`, borrowed mutably, overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
