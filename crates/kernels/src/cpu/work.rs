//! Counts of the work that was asked for, in multiply-adds and blocks of memory. Unlike times, they are the same on every machine
//! and in every run.

use std::cell::Cell;

thread_local! {
    static MULTIPLY_ADDS: Cell<u64> = const { Cell::new(0) };
    static BLOCKS: Cell<u64> = const { Cell::new(0) };
}

/// The number of blocks of memory (those of [`pages`](super::pages), for tensors and operands of products) that the calling thread
/// has had allocated since it began. Reused blocks are not counted: once training or decoding has warmed up, there should be no
/// more.
pub fn blocks() -> u64 {
    BLOCKS.get()
}

/// Counts a block.
pub(crate) fn count_block() {
    BLOCKS.set(BLOCKS.get().wrapping_add(1));
}

/// The multiply-adds of all matrix products that the calling thread has asked for since it began; the count wraps around at 2^64.
///
/// A product of m x k with k x n counts m n k, once, on the thread that called it, whatever its number format and however many
/// threads of a team shared it; additional computation to fill a kernel's registers is not counted. The difference of two readings
/// of one thread is the work in between.
///
/// ```
/// use kokanee_kernels::{Mat, MatMut, Precision, Team, gemm, work};
/// let before = work::multiply_adds();
/// let (a, b, mut c) = ([1.0; 6], [1.0; 12], [0.0; 8]);
/// gemm(&Team::new(2), Precision::F32, MatMut::new(&mut c, 2, 4), 0.0, Mat::new(&a, 2, 3), Mat::new(&b, 3, 4));
/// assert_eq!(work::multiply_adds() - before, 2 * 3 * 4);
/// ```
pub fn multiply_adds() -> u64 {
    MULTIPLY_ADDS.get()
}

/// Counts a product with `results` elements, each a sum of `terms` products.
pub(crate) fn count_product(results: usize, terms: usize) {
    let more = (results as u64).wrapping_mul(terms as u64);
    MULTIPLY_ADDS.set(MULTIPLY_ADDS.get().wrapping_add(more));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::{Format, PackedMatrix};
    use crate::{Mat, MatMut, Precision, Team, gemm};

    /// What `work` counts on this thread.
    fn counted(work: impl FnOnce()) -> u64 {
        let before = multiply_adds();
        work();
        multiply_adds() - before
    }

    /// Every product of these shapes counts m n k, whoever computes it.
    fn check(m: usize, n: usize, k: usize) {
        let (a, b) = (vec![1.0; m * k], vec![1.0; n * k]);
        let mut c = vec![0.0; m * n];
        let want = (m * n * k) as u64;
        for threads in [1, 2] {
            let team = Team::new(threads);
            let (left, right) = (Mat::new(&a, m, k), Mat::new(&b, n, k).t());
            for precision in [Precision::F32, Precision::Bf16] {
                let c = MatMut::new(&mut c, m, n);
                let got = counted(|| gemm(&team, precision, c, 0.0, left, right));
                assert_eq!(got, want, "gemm {m} x {n} x {k} in {precision:?}, {threads} threads");
            }
            for format in [Format::F32, Format::Bf16, Format::Int8] {
                let packed = PackedMatrix::pack(&team, format, Mat::new(&b, n, k));
                let got = counted(|| packed.multiply(&team, &a, &mut c, 0.0));
                assert_eq!(got, want, "packed {format:?} {m} x {n} x {k}, {threads} threads");
            }
        }
    }

    #[test]
    fn a_product_counts_once_without_what_fills_registers() {
        check(1, 1, 1);
        check(3, 65, 7);
        check(64, 200, 33);
        check(0, 5, 5);
    }

    #[test]
    fn a_thread_counts_what_it_asked_for_itself() {
        let other = || std::thread::spawn(|| counted(|| check(5, 5, 5))).join().unwrap();
        assert_eq!(counted(|| assert!(other() > 0)), 0);
    }
}
