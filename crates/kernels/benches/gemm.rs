//! Matrix products on the shapes of real models, as training makes them, in GFLOP/s and as a share of what the machine's
//! multipliers can do, compared with those of the crate `gemm`. Then products with packed weights, as decoding makes them, with the
//! rate at which weights are read.
//!
//! `cargo xtask bench gemm [--threads N] [--only PART-OF-A-NAME]`

use std::time::Instant;

use gemm as gemm_crate;
use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_kernels::{Mat, MatMut, Precision, Team, gemm, peak};

/// The memory layout of the operands of `C = A B`.
#[derive(Clone, Copy)]
enum Layout {
    /// Both row-major.
    Plain,
    /// B transposed: activations times a weight.
    TransposedB,
    /// A transposed: the gradient of a weight.
    TransposedA,
}

/// The products of the workload M30K-RNN512: (what, m, n, k, layout).
const SHAPES: &[(&str, usize, usize, usize, Layout)] = &[
    ("square", 4096, 4096, 4096, Layout::Plain),
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
    let only = args.iter().position(|a| a == "--only").and_then(|i| args.get(i + 1)).map_or("", |a| a);
    let team = threads.map_or_else(Team::of_machine, Team::start).expect("threads to measure with");
    let mut report = format!("{} threads\n", team.size());
    let peaks = [Precision::F32, Precision::Bf16].map(|precision| peak(&team, precision) / 1e9);
    report += &format!("multipliers alone: f32 {:.0} GFLOP/s, bf16 {:.0}\n", peaks[0], peaks[1]);
    report += "\nGFLOP/s (% of that):                    m x      n x      k    f32         bf16        crate gemm, f32\n";
    for &(what, m, n, k, layout) in SHAPES.iter().filter(|shape| shape.0.contains(only)) {
        let rates = measure(&team, m, n, k, layout);
        let share = |rate: f64, peak: f64| format!("{rate:>5.0} ({:>3.0}%)", 100.0 * rate / peak);
        report += &format!(
            "{what:<36} {m:>6} x {n:>6} x {k:>6}  {}  {}  {}\n",
            share(rates[0], peaks[0]),
            share(rates[1], peaks[1]),
            share(rates[2], peaks[0])
        );
    }
    if only.is_empty() {
        report += &packed_products(&team, peaks[0]);
    }
    eprint!("{report}");
}

/// Measures the GFLOP/s of a product: ours in f32 and in bf16, and that of the crate `gemm`.
fn measure(team: &Team, m: usize, n: usize, k: usize, layout: Layout) -> [f64; 3] {
    let value = |i: usize| (i % 97) as f32 / 97.0 - 0.5;
    let a: Vec<f32> = (0..m * k).map(value).collect();
    let b: Vec<f32> = (0..k * n).map(value).collect();
    let mut c = vec![0f32; m * n];
    let (a_view, b_view) = match layout {
        Layout::Plain => (Mat::new(&a, m, k), Mat::new(&b, k, n)),
        Layout::TransposedB => (Mat::new(&a, m, k), Mat::new(&b, n, k).t()),
        Layout::TransposedA => (Mat::new(&a, k, m).t(), Mat::new(&b, k, n)),
    };
    let seconds = |run: &mut dyn FnMut()| best_time(4, 0.1, run);
    let ours = [Precision::F32, Precision::Bf16].map(|precision| {
        seconds(&mut || gemm(team, precision, MatMut::new(&mut c, m, n), 0.0, a_view, b_view))
    });
    let theirs = seconds(&mut || crate_gemm(team, &mut c, [m, n, k], &a, &b, layout));
    [ours[0], ours[1], theirs].map(|time| 2.0 * (m * n * k) as f64 / time / 1e9)
}

/// Computes the product with the crate `gemm`, with its longer side split over the team.
fn crate_gemm(team: &Team, c: &mut [f32], [m, n, k]: [usize; 3], a: &[f32], b: &[f32], layout: Layout) {
    let (a_strides, b_strides) = match layout {
        Layout::Plain => ((k, 1), (n, 1)),
        Layout::TransposedB => ((k, 1), (1, k)),
        Layout::TransposedA => ((1, m), (n, 1)),
    };
    let address = c.as_mut_ptr() as usize;
    let part = |rows: std::ops::Range<usize>, cols: std::ops::Range<usize>| {
        // SAFETY: all addresses lie inside the slices, whose sizes are m x n, m x k and k x n; threads have separate parts of C.
        unsafe {
            gemm_crate::gemm(
                rows.len(),
                cols.len(),
                k,
                (address as *mut f32).add(rows.start * n + cols.start),
                1,
                n as isize,
                false,
                a.as_ptr().add(rows.start * a_strides.0),
                a_strides.1 as isize,
                a_strides.0 as isize,
                b.as_ptr().add(cols.start * b_strides.1),
                b_strides.1 as isize,
                b_strides.0 as isize,
                0.0,
                1.0,
                false,
                false,
                false,
                gemm_crate::Parallelism::None,
            );
        }
    };
    if n >= m {
        team.split(n, 48, |cols| part(0..m, cols))
    } else {
        team.split(m, 48, |rows| part(rows, 0..n))
    }
}

/// Returns the seconds per call of `run` in the best of `windows` windows of at least `seconds` seconds each: the speed of the
/// machine when nothing disturbs it.
fn best_time(windows: usize, seconds: f64, run: &mut dyn FnMut()) -> f64 {
    run();
    let window = |_| {
        let start = Instant::now();
        let mut count = 0u32;
        while start.elapsed().as_secs_f64() < seconds {
            run();
            count += 1;
        }
        start.elapsed().as_secs_f64() / f64::from(count)
    };
    (0..windows).map(window).fold(f64::INFINITY, f64::min)
}

/// Weights of M30K-RNN512 in decoding: (what, outputs, inputs).
const WEIGHTS: &[(&str, usize, usize)] = &[
    ("output layer", 18_726, 512),
    ("recurrent gates", 2048, 512),
    ("gates of word, context and state", 2048, 1536),
    ("attentional state", 512, 1024),
    ("attention query", 512, 512),
];

/// Numbers of rows: one beam of one and of five, 8 to 64 beams of five, and the tokens of a batch in the encoder.
const ROWS: &[usize] = &[1, 5, 40, 80, 160, 320, 900];

/// The formats, with their multiply-adds per instruction as a multiple of those of `f32`.
const FORMATS: &[(&str, Format, f64)] =
    &[("f32", Format::F32, 1.0), ("bf16", Format::Bf16, 2.0), ("int8", Format::Int8, 4.0)];

/// Returns a table for each weight: rows, and for each format GFLOP/s, share of the format's peak (a multiple of `peak`, the best
/// `f32` product), and GB/s of weights, counted as if each were read once.
fn packed_products(team: &Team, peak: f64) -> String {
    let mut report = String::from("\npacked weights: GFLOP/s, % of the format's peak, GB/s of weights\n");
    for &(what, outputs, inputs) in WEIGHTS {
        let weight: Vec<f32> = (0..outputs * inputs).map(|i| (i % 89) as f32 / 89.0 - 0.5).collect();
        let packed = FORMATS
            .iter()
            .map(|&(_, format, _)| PackedMatrix::pack(team, format, Mat::new(&weight, outputs, inputs)));
        let packed: Vec<PackedMatrix> = packed.collect();
        report += &format!("{what}, {outputs} x {inputs}; a plain read:");
        for (matrix, (name, ..)) in packed.iter().zip(FORMATS) {
            report += &format!("  {name} {:.0} GB/s", read_rate(team, matrix.bytes()));
        }
        report.push('\n');
        for &rows in ROWS {
            report += &format!("{rows:>6} rows");
            for (matrix, (name, _, multiple)) in packed.iter().zip(FORMATS) {
                let x: Vec<f32> = (0..rows * inputs).map(|i| (i % 83) as f32 / 83.0 - 0.5).collect();
                let mut y = vec![0f32; rows * outputs];
                let time = best_time(3, 0.08, &mut || matrix.multiply(team, &x, &mut y, 0.0));
                let rate = 2.0 * (rows * outputs * inputs) as f64 / time / 1e9;
                let share = 100.0 * rate / (peak * multiple);
                let bytes = matrix.bytes() as f64 / time / 1e9;
                report += &format!("  {name:>5} {rate:>5.0} {share:>3.0}% {bytes:>4.0} GB/s");
            }
            report.push('\n');
        }
    }
    report
}

/// Returns the GB/s at which the team reads `bytes` bytes again and again.
fn read_rate(team: &Team, bytes: usize) -> f64 {
    let data = vec![1u64; bytes / 8];
    let time = best_time(3, 0.08, &mut || {
        team.split(data.len(), 512, |range| {
            let mut sums = [0u64; 32];
            for block in data[range].as_chunks::<32>().0 {
                sums.iter_mut().zip(block).for_each(|(sum, x)| *sum = sum.wrapping_add(*x));
            }
            std::hint::black_box(sums);
        });
    });
    bytes as f64 / time / 1e9
}
