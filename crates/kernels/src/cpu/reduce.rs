//! Sums over many elements, in an order that depends on sizes only.

use super::LANES;
use super::threads::{SharedMut, Team};

/// Rows that [`column_sums`] adds up in one part.
const ROWS: usize = 64;

/// `sums = beta sums + sum over the rows of x` (rows x `sums.len()`), with `beta` 0 or 1.
///
/// Rows are added up in parts of 64, each read as it lies in memory, and then the parts.
pub fn column_sums(team: &Team, sums: &mut [f32], beta: f32, x: &[f32]) {
    let width = sums.len();
    if width == 0 {
        return;
    }
    assert!(x.len().is_multiple_of(width), "rows of {width} do not fill {} elements", x.len());
    if beta == 0.0 {
        sums.fill(0.0);
    }
    let parts = x.len().div_ceil(ROWS * width);
    if parts <= 1 {
        return column_sums_part(sums, x);
    }
    let mut part_sums = vec![0.0; parts * width];
    let shared = SharedMut::new(&mut part_sums);
    team.split(parts, 1, |range| {
        for part in range {
            // SAFETY: `split` gives each thread parts of its own.
            let sums = unsafe { shared.slice(part * width..(part + 1) * width) };
            column_sums_part(sums, &x[part * ROWS * width..x.len().min((part + 1) * ROWS * width)]);
        }
    });
    column_sums_part(sums, &part_sums);
}

multiversion! {
    fn column_sums_part(sums: &mut [f32], x: &[f32]) {
        for row in x.chunks_exact(sums.len()) {
            sums.iter_mut().zip(row).for_each(|(s, x)| *s += x);
        }
    }
}

multiversion! {
    /// Inner product of two slices of the same size.
    pub fn dot(a: &[f32], b: &[f32]) -> f32 {
        dot_lanes(a, b)
    }
}

/// Inner product in [`LANES`] partial sums; for use inside multiversioned kernels.
#[inline(always)]
pub(crate) fn dot_lanes(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "inner product of different sizes");
    let mut sums = [0f32; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sum_lanes(sums) + rest
}

/// Sum of the lanes, pairwise.
#[inline(always)]
pub(crate) fn sum_lanes(mut sums: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Largest of the lanes; NaN is ignored.
#[inline(always)]
pub(crate) fn max_lanes(lanes: [f32; LANES]) -> f32 {
    lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
}
