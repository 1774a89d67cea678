//! The limits of the machine, as the reference for all other figures.

use std::fmt::Write as _;

use kokanee_kernels::packed::{Format, PackedMatrix};
use kokanee_kernels::{Isa, Mat, Precision, Team, peak};

use crate::windows::Windows;

/// Side of the products whose rate is taken as the peak of arithmetic: large enough that memory does not matter.
const SIDE: usize = 4096;
/// Rows of the product with packed weights: a window of decoding.
const ROWS: usize = 320;
/// Number of bytes that no cache holds.
const FAR_BYTES: usize = 512 << 20;
/// Number of windows for each limit, and their seconds. The best counts, since a limit is the undisturbed speed.
const WINDOWS: (usize, f64) = (4, 0.15);

/// Formats by the names that options and tables give them.
pub(crate) const FORMATS: [(&str, Format); 3] =
    [("f32", Format::F32), ("bf16", Format::Bf16), ("int8", Format::Int8)];

/// Rates of this machine with a number of threads.
pub(crate) struct Machine {
    threads: usize,
    /// Multiply-adds per second of the multipliers alone, in `f32` and in bf16.
    multipliers: [f64; 2],
    /// Multiply-adds per second of the products of decoding, in the order of [`FORMATS`].
    packed: [f64; 3],
    /// Bytes per second, read from memory.
    read: f64,
    /// Bytes per second, each copied from memory to memory.
    copy: f64,
}

impl Machine {
    pub(crate) fn measure(threads: usize) -> Machine {
        let team = Team::new(threads);
        let rate = |units: usize, work: &mut dyn FnMut()| {
            let windows = Windows::measure(WINDOWS.0, WINDOWS.1, &mut || {
                work();
                1
            });
            units as f64 / windows.low
        };
        let square: Vec<f32> = (0..SIDE * SIDE).map(|i| (i % 97) as f32 / 97.0 - 0.5).collect();
        let mut out = vec![0f32; SIDE * SIDE];
        let multipliers = [Precision::F32, Precision::Bf16].map(|precision| peak(&team, precision) / 2.0);
        let packed = FORMATS.map(|(_, format)| {
            let weight = PackedMatrix::pack(&team, format, Mat::new(&square, SIDE, SIDE));
            rate(ROWS * SIDE * SIDE, &mut || {
                weight.multiply(&team, &square[..ROWS * SIDE], &mut out[..ROWS * SIDE], 0.0);
            })
        });
        drop((square, out));

        let from = vec![1u64; FAR_BYTES / 8];
        let read = rate(FAR_BYTES, &mut || {
            team.split(from.len(), 512, |range| {
                let mut sums = [0u64; 32];
                for block in from[range].as_chunks::<32>().0 {
                    sums.iter_mut().zip(block).for_each(|(sum, x)| *sum = sum.wrapping_add(*x));
                }
                std::hint::black_box(sums);
            });
        });
        let mut to = vec![0u64; FAR_BYTES / 8];
        let copy = rate(FAR_BYTES, &mut || {
            let part = from.len().div_ceil(threads);
            std::thread::scope(|scope| {
                for (to, from) in to.chunks_mut(part).zip(from.chunks(part)) {
                    scope.spawn(move || to.copy_from_slice(from));
                }
            });
        });
        Machine { threads, multipliers, packed, read, copy }
    }

    /// The largest number of multiply-adds per second for training in a precision.
    pub(crate) fn training_peak(&self, precision: &str) -> f64 {
        self.multipliers[usize::from(precision != "f32")]
    }

    /// The largest number of multiply-adds per second for decoding in a format.
    pub(crate) fn decoding_peak(&self, format: &str) -> f64 {
        let at = FORMATS.iter().position(|(name, _)| *name == format);
        at.map_or(f64::NAN, |at| self.packed[at])
    }

    /// The limits as a Markdown table.
    pub(crate) fn table(&self) -> String {
        let gflops = |rate: f64| format!("{:.0} GFLOP/s", 2.0 * rate / 1e9);
        let gbytes = |rate: f64| format!("{:.1} GB/s", rate / 1e9);
        let mut table = format!(
            "| limit, {} threads, {:?} | measured by | here |\n|---|---|---|\n",
            self.threads,
            Isa::detect()
        );
        let mut row = |what: &str, how: &str, value: String| {
            let _ = writeln!(table, "| {what} | {how} | {value} |");
        };
        for (name, rate) in ["f32", "bf16"].iter().zip(self.multipliers) {
            row(
                &format!("{name} multipliers"),
                "the micro-kernel on operands in the first cache",
                gflops(rate),
            );
        }
        for ((name, _), rate) in FORMATS.iter().zip(self.packed) {
            let what = format!("{name} products of decoding");
            row(&what, "320 x 4096 times a packed 4096 x 4096", gflops(rate));
        }
        row("memory, read", "sum of 512 MiB", gbytes(self.read));
        row("memory, copied", "512 MiB to another place; each byte counts once", gbytes(self.copy));
        table
    }
}
