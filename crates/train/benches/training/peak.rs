//! What the machine can do, in the same run, and the most memory that was held.

use std::time::Instant;

use kokanee_kernels::{Mat, MatMut, Team, gemm};

/// Side of the product whose speed stands for what the machine can do.
pub(crate) const SIDE: usize = 4096;
const REPETITIONS: usize = 6;

type Product = fn(&Team, MatMut<'_>, f32, Mat<'_>, Mat<'_>);

/// The product that training in each precision is made of.
const PRODUCTS: &[(&str, Product)] = &[("f32", gemm)];

/// The best of some products of square matrices in `precision` (of the first where it has none of its own), in GFLOP/s.
pub(crate) fn gflops(team: &Team, precision: &str) -> f64 {
    let value = |i: usize| ((i * 2_654_435_761) % 1000) as f32 / 500.0 - 1.0;
    let a: Vec<f32> = (0..SIDE * SIDE).map(value).collect();
    let mut c = vec![0.0; SIDE * SIDE];
    let product = PRODUCTS.iter().find(|(name, _)| *name == precision).map_or(PRODUCTS[0].1, |found| found.1);
    let mut best = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let started = Instant::now();
        let (a, c) = (Mat::new(&a, SIDE, SIDE), MatMut::new(&mut c, SIDE, SIDE));
        product(team, c, 0.0, a, a);
        best = best.min(started.elapsed().as_secs_f64());
    }
    2.0 * (SIDE as f64).powi(3) / best / 1e9
}

/// The most memory that this process held so far, in MiB, where the system says.
pub(crate) fn memory_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
