//! The plainest product, which the fast ones are tested equal to.

use super::{Mat, MatMut};

/// `C = beta C + A B`, summed in `f64`.
pub(super) fn gemm(c: MatMut<'_>, beta: f32, a: Mat<'_>, b: Mat<'_>) {
    for i in 0..c.rows {
        for j in 0..c.cols {
            let sum: f64 = (0..a.cols)
                .map(|l| {
                    let x = a.data[i * a.row_stride + l * a.col_stride];
                    let y = b.data[l * b.row_stride + j * b.col_stride];
                    f64::from(x) * f64::from(y)
                })
                .sum();
            let slot = &mut c.data[i * c.row_stride + j];
            *slot = if beta == 0.0 { sum as f32 } else { *slot + sum as f32 };
        }
    }
}
