//! Sums over many elements, in an order that depends on sizes only.

use super::LANES;
use super::threads::{SharedMut, Team};

/// `sums = beta sums + sum over the rows of x` (rows x `sums.len()`), with `beta` 0 or 1.
pub fn column_sums(team: &Team, sums: &mut [f32], beta: f32, x: &[f32]) {
    let width = sums.len();
    if width == 0 {
        return;
    }
    assert!(x.len().is_multiple_of(width), "rows of {width} do not fill {} elements", x.len());
    let grain = if x.len() < 1 << 15 { width } else { 64 };
    let shared = SharedMut::new(sums);
    team.split(width, grain, |range| {
        // SAFETY: `split` gives each thread columns of its own.
        let sums = unsafe { shared.slice(range.clone()) };
        if beta == 0.0 {
            sums.fill(0.0);
        }
        column_sums_part(sums, x, width, range.start);
    });
}

multiversion! {
    fn column_sums_part(sums: &mut [f32], x: &[f32], width: usize, start: usize) {
        for row in x.chunks_exact(width) {
            let row = &row[start..start + sums.len()];
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
