//! The plainest product, which the fast ones are tested equal to.

use super::{Mat, MatMut, Precision, bf16};

/// `C = beta C + A B`, rounded as `precision` says and summed in `f64`.
pub(super) fn gemm(c: MatMut<'_>, beta: f32, a: Mat<'_>, b: Mat<'_>, precision: Precision) {
    let round = |x: f32| match precision {
        Precision::F32 => f64::from(x),
        Precision::Bf16 => f64::from(f32::from_bits(bf16::round(x))),
    };
    for i in 0..c.rows {
        for j in 0..c.cols {
            let sum: f64 = (0..a.cols)
                .map(|l| {
                    let x = a.get(i, l);
                    let y = b.get(l, j);
                    round(x) * round(y)
                })
                .sum();
            let slot = &mut c.data[i * c.row_stride + j];
            *slot = if beta == 0.0 { sum as f32 } else { *slot + sum as f32 };
        }
    }
}
