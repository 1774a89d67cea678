//! The simplest product, for tests of the fast ones.

use super::{Mat, MatMut, Precision, bf16};

/// Computes `C = beta C + A B`, rounded as `precision` says and summed in `f64`.
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

/// The numbers of a row-major matrix that is stored as [`Side::stored`](super::Side::stored) says.
pub(in crate::cpu) fn stored_numbers(
    precision: Precision,
    stored: &[f32],
    rows: usize,
    cols: usize,
) -> Vec<f32> {
    let width = precision.stored(cols);
    assert_eq!(stored.len(), rows * width);
    let number = |at: usize| {
        let (row, col) = (at / cols, at % cols);
        match precision {
            Precision::F32 => stored[at],
            Precision::Bf16 => {
                let (first, second) = bf16::parts(stored[row * width + col / 2].to_bits());
                if col % 2 == 0 { first } else { second }
            }
        }
    };
    (0..rows * cols).map(number).collect()
}
