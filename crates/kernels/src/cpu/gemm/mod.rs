//! Products of `f32` matrices with any strides: the `gemm` crate, split over a team. Products with weights that stay the same,
//! in three number formats, are in [`packed`].

pub mod packed;
#[cfg(test)]
mod reference;

use super::threads::{SharedMut, Team};

/// A view of a matrix in a slice; strides count elements.
#[derive(Clone, Copy)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Mat<'a> {
    /// A row-major matrix that fills the slice.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, cols, row_stride), "a {rows} x {cols} matrix does not fit its slice");
        Mat { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The transposed view of the same data.
    pub fn t(self) -> Self {
        Mat {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// A mutable view of a row-major matrix.
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a> MatMut<'a> {
    /// A row-major matrix that fills the slice.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        Self::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows start `row_stride` elements apart.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, cols, row_stride), "a {rows} x {cols} matrix does not fit its slice");
        MatMut { data, rows, cols, row_stride }
    }
}

fn fits(len: usize, rows: usize, cols: usize, row_stride: usize) -> bool {
    row_stride >= cols && (rows == 0 || (rows - 1) * row_stride + cols <= len)
}

/// Products smaller than this many multiply-adds stay on the calling thread.
const SMALL: usize = 64 * 64 * 64;
/// Borders between the threads' parts fall on multiples of this: a whole number of the micro-kernel's registers.
const GRAIN: usize = 48;

/// `C = beta C + A B`, with `beta` 0 (C is overwritten, whatever it held) or 1 (the product is added).
pub fn gemm(team: &Team, c: MatMut<'_>, beta: f32, a: Mat<'_>, b: Mat<'_>) {
    assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
    assert_eq!((c.rows, c.cols, a.cols), (a.rows, b.cols, b.rows), "shapes of a product");
    let (m, n, k) = (c.rows, c.cols, a.cols);
    super::work::count_product(m * n, k);
    if m == 0 || n == 0 {
        return;
    }
    let stride = c.row_stride;
    let shared = SharedMut::new(c.data);
    let part = |rows: std::ops::Range<usize>, cols: std::ops::Range<usize>| {
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        let data = shared.as_mut_ptr();
        let a_start = rows.start * a.row_stride;
        let b_start = cols.start * b.col_stride;
        // SAFETY: every address lies inside the slices, as the constructors of the views checked; the parts of C that the
        // threads write are disjoint.
        unsafe {
            gemm::gemm(
                rows.len(),
                cols.len(),
                k,
                data.add(rows.start * stride + cols.start),
                1,
                stride as isize,
                beta != 0.0,
                a.data.as_ptr().add(a_start.min(a.data.len())),
                a.col_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr().add(b_start.min(b.data.len())),
                b.col_stride as isize,
                b.row_stride as isize,
                beta,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    };
    if m * n * k < SMALL {
        part(0..m, 0..n);
    } else if n >= m {
        team.split(n, GRAIN, |cols| part(0..m, cols));
    } else {
        team.split(m, GRAIN, |rows| part(rows, 0..n));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares every layout of a product with the reference.
    fn check(team: &Team, m: usize, n: usize, k: usize) {
        let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
        let a: Vec<f32> = (0..m * k).map(value).collect();
        let b: Vec<f32> = (0..k * n).map(|i| value(i + 77)).collect();
        for (ta, tb, beta) in [(false, false, 0.0), (true, false, 1.0), (false, true, 0.0), (true, true, 1.0)]
        {
            let a = if ta { Mat::new(&a, k, m).t() } else { Mat::new(&a, m, k) };
            let b = if tb { Mat::new(&b, n, k).t() } else { Mat::new(&b, k, n) };
            let stride = n + 3;
            let mut got: Vec<f32> = (0..m * stride).map(value).collect();
            let mut want = got.clone();
            gemm(team, MatMut::strided(&mut got, m, n, stride), beta, a, b);
            reference::gemm(MatMut::strided(&mut want, m, n, stride), beta, a, b);
            for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                assert!(
                    (g - w).abs() <= 1e-5 * (k as f32 + 1.0),
                    "{m}x{n}x{k} {ta} {tb} {beta}: {i}: {g} {w}"
                );
            }
        }
    }

    #[test]
    fn products_equal_the_reference() {
        for threads in [1, 2, 3] {
            let team = Team::new(threads);
            for (m, n, k) in
                [(1, 1, 1), (3, 5, 7), (64, 200, 33), (1, 300, 100), (300, 1, 50), (97, 113, 129), (5, 5, 0)]
            {
                check(&team, m, n, k);
            }
        }
    }
}
