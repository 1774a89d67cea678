//! Matrix products on the shapes of real models, in GFLOP/s and as a share of the best product of the same run.
//!
//! `cargo xtask bench gemm [--threads N]`

use std::time::Instant;

use kokanee_kernels::{Mat, MatMut, Team, gemm};

/// How the operands of `C = A B` lie in memory.
#[derive(Clone, Copy)]
enum Layout {
    /// Both row-major.
    Plain,
    /// B transposed: activations times a weight.
    TransposedB,
    /// A transposed: the gradient of a weight.
    TransposedA,
}

/// A product of the work M30K-RNN512: (what, m, n, k, layout).
const SHAPES: &[(&str, usize, usize, usize, Layout)] = &[
    ("square, the machine's peak", 4096, 4096, 4096, Layout::Plain),
    ("output layer", 860, 18_726, 512, Layout::TransposedB),
    ("its input's gradient", 860, 512, 18_726, Layout::Plain),
    ("its weight's gradient", 18_726, 512, 860, Layout::TransposedA),
    ("all tokens into the gates", 900, 2048, 512, Layout::TransposedB),
    ("one decoder step, fed and recurrent", 64, 2048, 512, Layout::Plain),
    ("one decoder step, backwards", 64, 512, 2048, Layout::Plain),
    ("one encoder step", 64, 1024, 256, Layout::Plain),
    ("recurrent weight's gradient", 2048, 512, 860, Layout::TransposedA),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.iter().position(|a| a == "--threads").and_then(|i| args.get(i + 1)?.parse().ok());
    let team = threads.map_or_else(Team::of_machine, Team::new);
    let mut report = format!("{} threads\n", team.size());
    let mut peak = 0f64;
    for &(what, m, n, k, layout) in SHAPES {
        let rate = measure(&team, m, n, k, layout);
        peak = peak.max(rate);
        report += &format!(
            "{what:<36} {m:>6} x {n:>6} x {k:>6}  {rate:>6.0} GFLOP/s {:>4.0}%\n",
            100.0 * rate / peak
        );
    }
    eprint!("{report}");
}

/// The best of five windows of at least 0.2 seconds: what the machine does when nothing else disturbs it.
fn measure(team: &Team, m: usize, n: usize, k: usize, layout: Layout) -> f64 {
    let value = |i: usize| (i % 97) as f32 / 97.0 - 0.5;
    let a: Vec<f32> = (0..m * k).map(value).collect();
    let b: Vec<f32> = (0..k * n).map(value).collect();
    let mut c = vec![0f32; m * n];
    let mut run = || {
        let (a, b) = match layout {
            Layout::Plain => (Mat::new(&a, m, k), Mat::new(&b, k, n)),
            Layout::TransposedB => (Mat::new(&a, m, k), Mat::new(&b, n, k).t()),
            Layout::TransposedA => (Mat::new(&a, k, m).t(), Mat::new(&b, k, n)),
        };
        gemm(team, MatMut::new(&mut c, m, n), 0.0, a, b);
    };
    run();
    let mut best = 0f64;
    for _ in 0..5 {
        let start = Instant::now();
        let mut count = 0;
        while start.elapsed().as_secs_f64() < 0.2 {
            run();
            count += 1;
        }
        let flops = 2.0 * (m * n * k) as f64 * f64::from(count);
        best = best.max(flops / start.elapsed().as_secs_f64() / 1e9);
    }
    best
}
