//! Sums over many elements, in an order that depends on sizes only.

use std::ops::Range;

use super::LANES;
use super::gemm::prefetch;
use super::threads::{SharedMut, Team};

/// How many rows ahead of the one that it adds [`sums_by_group`] prefetches.
const ROWS_AHEAD: usize = 4;
/// Number of rows that [`column_sums`] adds up in one part.
const ROWS: usize = 64;

/// Computes `sums = beta sums + sum over the rows of x` (rows x `sums.len()`), with `beta` 0 or 1.
///
/// Rows are added up in parts of 64, each read in the order of memory, and then the parts.
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
            // SAFETY: `split` gives each thread its own parts.
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

multiversion! {
    /// Adds columns of rows to the sums of their groups, in double precision: `sums` is groups x columns, `x` rows x `width`,
    /// `groups` has the group of each row, and `columns` says which columns are added. Rows are added in their order, so that the
    /// bits are the same with any instruction set.
    pub fn sums_by_group(sums: &mut [f64], x: &[f32], width: usize, columns: Range<usize>, groups: &[u32]) {
        let count = columns.len();
        for (row, &group) in groups.iter().enumerate() {
            let later = x.as_ptr().wrapping_add((row + ROWS_AHEAD) * width + columns.start);
            (0..count).step_by(LANES).for_each(|at| prefetch(later.wrapping_add(at)));
            let sums = &mut sums[group as usize * count..][..count];
            let x = &x[row * width + columns.start..][..count];
            sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += f64::from(x));
        }
    }
}

multiversion! {
    /// Computes `moved = x - shift` for each row of `x` (rows x `shift.len()`); `squares` becomes the sums of the squares of the
    /// moved rows. The bits are the same with any instruction set.
    pub fn move_rows(moved: &mut [f32], squares: &mut [f32], x: &[f32], shift: &[f32]) {
        assert!(moved.len() == x.len() && x.len() == squares.len() * shift.len(), "rows of different sizes");
        let rows = moved.chunks_exact_mut(shift.len()).zip(x.chunks_exact(shift.len()));
        for ((moved, x), square) in rows.zip(squares) {
            moved.iter_mut().zip(x).zip(shift).for_each(|((moved, x), shift)| *moved = x - shift);
            *square = squares_lanes(moved);
        }
    }
}

multiversion! {
    /// Sum of squares. The bits are the same with any instruction set.
    pub fn sum_of_squares(x: &[f32]) -> f32 {
        squares_lanes(x)
    }
}

/// Sum of squares in [`LANES`] partial sums, without fused multiply-add.
#[inline(always)]
fn squares_lanes(x: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += block[lane] * block[lane];
        }
    }
    sum_lanes(sums) + rest.iter().map(|x| x * x).sum::<f32>()
}

multiversion! {
    /// Turns products with centres into distances without the row's own square, `squares - 2 products`; returns the least one.
    pub fn distances(products: &mut [f32], squares: &[f32]) -> f32 {
        assert_eq!(products.len(), squares.len(), "a square for each product");
        let mut least = [f32::INFINITY; LANES];
        let (blocks, rest) = products.as_chunks_mut::<LANES>();
        let (square_blocks, rest_squares) = squares.as_chunks::<LANES>();
        for (block, squares) in blocks.iter_mut().zip(square_blocks) {
            for lane in 0..LANES {
                block[lane] = squares[lane] - 2.0 * block[lane];
                least[lane] = if block[lane] < least[lane] { block[lane] } else { least[lane] };
            }
        }
        for (product, square) in rest.iter_mut().zip(rest_squares) {
            *product = square - 2.0 * *product;
            least[0] = least[0].min(*product);
        }
        least.into_iter().fold(f32::INFINITY, f32::min)
    }
}

multiversion! {
    /// Counts the numbers that are at most `limit`.
    pub fn count_at_most(x: &[f32], limit: f32) -> usize {
        x.chunks(1 << 16).map(|x| x.iter().map(|&x| u32::from(x <= limit)).sum::<u32>() as usize).sum()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 20) as f32 - 8.0
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn sums_of_groups_are_those_of_a_loop_in_the_order_of_the_rows() {
        for (rows, width, columns) in [(1, 1, 0..1), (7, 40, 3..39), (100, 17, 0..17), (50, 200, 100..200)] {
            let x = numbers(rows * width, 1);
            let groups: Vec<u32> = (0..rows as u32).map(|row| row * 7 % 5).collect();
            let count = columns.len();
            let mut want = vec![0.5f64; 5 * count];
            let mut got = want.clone();
            for (row, &group) in groups.iter().enumerate() {
                for column in columns.clone() {
                    want[group as usize * count + column - columns.start] +=
                        f64::from(x[row * width + column]);
                }
            }
            sums_by_group(&mut got, &x, width, columns, &groups);
            assert_eq!(got, want);
        }
    }

    #[test]
    fn rows_are_moved_and_squared_with_the_bits_of_a_loop() {
        for width in [1, 15, 16, 17, 100] {
            let (x, shift) = (numbers(3 * width, 2), numbers(width, 3));
            let (mut moved, mut squares) = (vec![0.0; 3 * width], [0.0; 3]);
            move_rows(&mut moved, &mut squares, &x, &shift);
            for (row, square) in squares.iter().enumerate() {
                let want: Vec<f32> = (0..width).map(|i| x[row * width + i] - shift[i]).collect();
                assert_eq!(&moved[row * width..][..width], want);
                assert_eq!(sum_of_squares(&want).to_bits(), square.to_bits());
                let exact: f64 = want.iter().map(|&x| f64::from(x).powi(2)).sum();
                assert!((f64::from(*square) - exact).abs() <= 1e-6 * exact.max(1.0), "{width}");
            }
        }
    }

    #[test]
    fn distances_and_their_counts_are_those_of_a_loop() {
        for count in [1, 15, 16, 33, 100, 1000] {
            let (products, squares) = (numbers(count, 4), numbers(count, 5));
            let want: Vec<f32> =
                products.iter().zip(&squares).map(|(product, square)| square - 2.0 * product).collect();
            let mut got = products;
            let least = distances(&mut got, &squares);
            assert_eq!(got, want);
            assert_eq!(least, want.iter().copied().fold(f32::INFINITY, f32::min));
            for limit in [least, 0.0, f32::INFINITY, f32::NAN] {
                assert_eq!(count_at_most(&got, limit), want.iter().filter(|&&x| x <= limit).count());
            }
        }
    }
}
