//! Products `y = x W'` with a weight that is laid out once and multiplied many times, in `f32`, bf16 or int8.
//!
//! Each row of `y` depends on its own row of `x` alone, to the last bit: not on how many rows there are, where it stands among
//! them, or how many threads share the work. That is what lets a server decode sentences together and still give each the
//! answer that it would get alone. It holds because every output is one sum over the inputs, in their order, in an
//! accumulator of its own; tiles, panels and threads only choose which sums run side by side.
//!
//! Shapes: `W` outputs x inputs, `x` m x inputs, `y` m x outputs, all row-major.
//!
//! # Formats
//! - [`Format::F32`]: `sum = fma(x, w, sum)` for one input after the other, beginning at `beta y`. Machines without fused
//!   multiply-add round twice and differ from those that have it.
//! - [`Format::Bf16`]: weights are rounded to bf16 when packed, `x` when multiplied, both to nearest even; magnitudes below
//!   2^-56 count as zero. The sum is `f32`, begins at `beta y` (zero below 2^-103), and takes inputs in pairs, the second before
//!   the first, each by a fused multiply-add. This is what `vdpbf16ps` computes, as millions of random operands confirm, and
//!   what every other kernel computes too: products of two bf16 numbers are exact, so nothing depends on fused operations,
//!   and with these limits no sum is subnormal, which the instruction would take as zero. Only where a product itself
//!   exceeds the range of `f32` may a machine without fused multiply-add say infinity and another not.
//! - [`Format::Int8`]: each row of `W`, when packed, and each row of `x`, when multiplied, is divided by its own scale, its
//!   largest magnitude / 127, and rounded to nearest even. The sum of products is an exact integer, and
//!   `y = beta y + sum * (scale of x * scale of w)` with each operation rounded: the same bits on every machine. A row that holds
//!   NaN or infinity gives NaN; one whose magnitudes are all below 1e-36 counts as zeros.
//!
//! # Layout
//! A panel holds 64 outputs. For each group of inputs (1 for f32, 2 for bf16, 4 for int8: what fits 32 bits) it has one word an
//! output, so a step of a kernel multiplies one word of `x`, spread over the lanes, with four registers of weights.

#[macro_use]
mod kernel;
mod bf16;
mod f32;
mod int8;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use self::int8::Quantised;
use self::kernel::{Kernel, LANES, LINES, Line, PANEL, ROWS, Tile, prefetch};
use super::super::threads::{SharedMut, Team, share};

/// Number format of packed weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Weights as they are: 4 bytes each.
    F32,
    /// The upper half of an `f32`: 8 bits of precision, 2 bytes each.
    Bf16,
    /// Integers from -127 to 127 with one scale an output: 1 byte each.
    Int8,
}

impl Format {
    /// Inputs that share one 32-bit word.
    fn group(self) -> usize {
        match self {
            Format::F32 => 1,
            Format::Bf16 => 2,
            Format::Int8 => 4,
        }
    }

    /// The words of a row of weights, and its scale.
    fn weight_words(self, row: &[f32], words: &mut [u32]) -> f32 {
        match self {
            Format::F32 => {
                words.iter_mut().zip(row).for_each(|(word, x)| *word = x.to_bits());
                1.0
            }
            Format::Bf16 => {
                bf16::words(row, words);
                1.0
            }
            Format::Int8 => int8::words(row, int8::WEIGHT, words),
        }
    }

    /// The best kernel for this machine.
    fn kernel(self) -> Kernel {
        let kernels = self.kernels();
        *kernels.last().expect("there is always the portable kernel")
    }

    /// The kernels that this machine can run, best last.
    fn kernels(self) -> Vec<Kernel> {
        match self {
            Format::F32 => f32::kernels(),
            Format::Bf16 => bf16::kernels(),
            Format::Int8 => int8::kernels(),
        }
    }
}

/// A weight matrix laid out for products.
pub struct PackedMatrix {
    format: Format,
    kernel: Kernel,
    outputs: usize,
    inputs: usize,
    /// One panel after the other, each with one entry a group of inputs.
    panels: Vec<[Line; LINES]>,
    /// What int8 needs for each line of outputs; empty for the other formats.
    quantised: Vec<Quantised>,
}

/// Products with fewer steps (words of weights times rows) than this stay on the calling thread: about 3 microseconds.
const SMALL: usize = 1 << 18;
/// Elements of `x` that one thread converts at least.
const CONVERSION_GRAIN: usize = 1 << 14;
/// Panels that stay in the second cache: a quarter of the smallest of today's server cores.
const PANELS_BYTES: usize = 1 << 18;
/// From this many panels a thread on, whole panels split evenly enough.
const MANY_PANELS: usize = 16;

impl PackedMatrix {
    /// Lays out `weight`: `outputs` rows of `inputs` values, rows `stride` elements apart (as model weights are stored).
    pub fn pack(
        team: &Team,
        format: Format,
        weight: &[f32],
        outputs: usize,
        inputs: usize,
        stride: usize,
    ) -> PackedMatrix {
        let fits = outputs == 0 || (stride >= inputs && (outputs - 1) * stride + inputs <= weight.len());
        assert!(fits, "a {outputs} x {inputs} weight does not fit its slice");
        assert!(
            format != Format::Int8 || inputs <= int8::MAX_INPUTS,
            "{inputs} inputs would overflow int8 sums"
        );
        let mut packed = PackedMatrix::empty(format, outputs, inputs);
        let groups = packed.groups();
        let panels = SharedMut::new(&mut packed.panels);
        let quantised = SharedMut::new(&mut packed.quantised);
        team.split(outputs.div_ceil(PANEL), 1, |range| {
            let mut words = vec![0u32; groups];
            for index in range {
                // SAFETY: `split` gives each thread panels of its own.
                let panel = unsafe { panels.slice(index * groups..(index + 1) * groups) };
                for output in index * PANEL..((index + 1) * PANEL).min(outputs) {
                    let row = &weight[output * stride..output * stride + inputs];
                    let scale = format.weight_words(row, &mut words);
                    let (line, lane) = place(output);
                    panel.iter_mut().zip(&words).for_each(|(group, &word)| group[line].0[lane] = word);
                    if format == Format::Int8 {
                        // SAFETY: as above: the outputs of this thread's panels.
                        let slot = unsafe { quantised.slice(output / LANES..output / LANES + 1) };
                        slot[0].scale[lane] = scale;
                        slot[0].offset[lane] = int8::offset(&words);
                    }
                }
            }
        });
        packed
    }

    /// A matrix of zeros.
    fn empty(format: Format, outputs: usize, inputs: usize) -> PackedMatrix {
        let (panels, groups) = (outputs.div_ceil(PANEL), inputs.div_ceil(format.group()));
        let quantised = if format == Format::Int8 { panels * LINES } else { 0 };
        PackedMatrix {
            format,
            kernel: format.kernel(),
            outputs,
            inputs,
            panels: vec![[Line::ZERO; LINES]; panels * groups],
            quantised: vec![Quantised::default(); quantised],
        }
    }

    /// Rows of the weight, columns of a product.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the weight and of `x`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number format of the weights.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Memory that the weights take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.panels[..]) + size_of_val(&self.quantised[..])
    }

    /// Groups of inputs: words of a row of `x`.
    fn groups(&self) -> usize {
        self.inputs.div_ceil(self.format.group())
    }

    /// The same matrix with these outputs only, in this order (for vocabulary shortlists): every product is bit-equal to the
    /// same output of the whole matrix. An output may come twice.
    pub fn select(&self, outputs: &[u32]) -> PackedMatrix {
        let groups = self.groups();
        let mut selected = PackedMatrix::empty(self.format, outputs.len(), self.inputs);
        for (to, &from) in outputs.iter().enumerate() {
            let from = from as usize;
            assert!(from < self.outputs, "output {from} of a matrix of {}", self.outputs);
            let ((to_line, to_lane), (line, lane)) = (place(to), place(from));
            let source = &self.panels[from / PANEL * groups..][..groups];
            let target = &mut selected.panels[to / PANEL * groups..][..groups];
            for (target, source) in target.iter_mut().zip(source) {
                target[to_line].0[to_lane] = source[line].0[lane];
            }
            if self.format == Format::Int8 {
                let source = &self.quantised[from / LANES];
                let target = &mut selected.quantised[to / LANES];
                target.scale[to_lane] = source.scale[lane];
                target.offset[to_lane] = source.offset[lane];
            }
        }
        selected
    }

    /// `y = beta y + x W'`: `y` (m x outputs) and `x` (m x inputs) are row-major and dense; `beta` is 0 (`y` is overwritten,
    /// whatever it held) or 1.
    pub fn multiply(&self, team: &Team, x: &[f32], y: &mut [f32], beta: f32) {
        super::super::work::count_product(y.len(), self.inputs);
        self.multiply_by(self.kernel, team, x, y, beta);
    }

    fn multiply_by(&self, kernel: Kernel, team: &Team, x: &[f32], y: &mut [f32], beta: f32) {
        assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
        if y.is_empty() {
            return;
        }
        assert!(self.outputs > 0 && y.len().is_multiple_of(self.outputs), "y has whole rows");
        let rows = y.len() / self.outputs;
        assert_eq!(x.len(), rows * self.inputs, "x has as many rows as y");
        let mut scratch = SCRATCH.take();
        let y = SharedMut::new(y);
        let product =
            Product { matrix: self, kernel, x: scratch.convert(self, team, x, rows), y, add: beta != 0.0 };
        product.run(team, rows);
        SCRATCH.set(scratch);
    }
}

/// Line and lane of an output in its panel.
fn place(output: usize) -> (usize, usize) {
    (output % PANEL / LANES, output % LANES)
}

thread_local! {
    /// Kept between products, of which decoding makes thousands a second.
    static SCRATCH: Cell<Scratch> = const { Cell::new(Scratch { words: Vec::new(), scales: Vec::new() }) };
}

/// Room for the rows of `x` in the format of the weights.
#[derive(Default)]
struct Scratch {
    words: Vec<u32>,
    scales: Vec<f32>,
}

/// The rows of `x` in the format of the weights: `groups` words each.
#[derive(Clone, Copy)]
struct Input<'a> {
    words: &'a [u32],
    /// For int8, the value of the integer 1 in each row.
    scales: &'a [f32],
}

impl Scratch {
    fn convert<'a>(&'a mut self, matrix: &PackedMatrix, team: &Team, x: &'a [f32], rows: usize) -> Input<'a> {
        if matrix.format == Format::F32 {
            return Input { words: f32::words(x), scales: &[] };
        }
        let (groups, inputs) = (matrix.groups(), matrix.inputs);
        self.words.resize((rows * groups).max(self.words.len()), 0);
        self.scales.resize(rows.max(self.scales.len()), 0.0);
        let (words, scales) = (&mut self.words[..rows * groups], &mut self.scales[..rows]);
        let (shared_words, shared_scales) = (SharedMut::new(words), SharedMut::new(scales));
        team.split(rows, (CONVERSION_GRAIN / inputs.max(1)).max(1), |range| {
            for row in range {
                // SAFETY: `split` gives each thread rows of its own.
                let (words, scale) = unsafe {
                    (shared_words.slice(row * groups..(row + 1) * groups), shared_scales.slice(row..row + 1))
                };
                let x = &x[row * inputs..(row + 1) * inputs];
                match matrix.format {
                    Format::Int8 => scale[0] = int8::words(x, int8::INPUT, words),
                    _ => bf16::words(x, words),
                }
            }
        });
        Input { words, scales }
    }
}

/// One product under way.
struct Product<'a> {
    matrix: &'a PackedMatrix,
    kernel: Kernel,
    x: Input<'a>,
    y: SharedMut<f32>,
    /// Whether the product is added to `y`.
    add: bool,
}

impl Product<'_> {
    /// Shares the work: by panels, or by rows where there are too few panels to split evenly.
    fn run(&self, team: &Team, rows: usize) {
        let panels = self.matrix.outputs.div_ceil(PANEL);
        let steps = rows * self.matrix.groups() * panels * PANEL;
        if steps < SMALL || team.size() == 1 {
            self.part(0..panels, 0..rows);
        } else if panels >= MANY_PANELS * team.size() || rows < 2 * ROWS * team.size() {
            team.split(panels, 1, |panels| self.part(panels, 0..rows));
        } else {
            team.split(rows, ROWS, |rows| self.part(0..panels, rows));
        }
    }

    /// The product of some panels with some rows. As many panels as the second cache holds stay there while the rows go by, and
    /// each tile of rows meets all of them, so that what is written of a row lies together.
    fn part(&self, panels: Range<usize>, rows: Range<usize>) {
        let tiles = rows.len().div_ceil(ROWS);
        let mut tile = Tile::ZERO;
        let block = (PANELS_BYTES / (self.matrix.groups() * size_of::<[Line; LINES]>()).max(1)).max(1);
        for first in panels.clone().step_by(block) {
            for index in 0..tiles {
                let part = share(rows.len(), tiles, index);
                for panel in first..panels.end.min(first + block) {
                    self.tile(panel, rows.start + part.start..rows.start + part.end, &mut tile);
                }
            }
        }
    }

    /// The product of one panel with at most [`ROWS`] rows.
    fn tile(&self, panel: usize, rows: Range<usize>, tile: &mut Tile) {
        let matrix = self.matrix;
        let groups = matrix.groups();
        let outputs = panel * PANEL..((panel + 1) * PANEL).min(matrix.outputs);
        let y = |row: usize| {
            let start = row * matrix.outputs;
            // SAFETY: parts of a product have panels or rows of their own, so no other thread has these elements, and the
            // slice of one row is dropped before the next is asked for.
            unsafe { self.y.slice(start + outputs.start..start + outputs.end) }
        };
        // Written at the end; without this the stores would wait for what lies there.
        for row in rows.clone() {
            y(row).chunks(LANES).for_each(|line| prefetch(line.as_ptr()));
        }
        let weights = &matrix.panels[panel * groups..(panel + 1) * groups];
        let x = &self.x.words[rows.start * groups..rows.end * groups];
        if matrix.format == Format::Int8 {
            self.kernel.run(weights, x, rows.len(), false, tile);
            let quantised = &matrix.quantised[panel * LINES..(panel + 1) * LINES];
            for (sums, row) in tile.rows.iter().zip(rows) {
                int8::finish(sums, self.kernel.biased, quantised, self.x.scales[row], y(row), self.add);
            }
            return;
        }
        if self.add {
            for (sums, row) in tile.rows.iter_mut().zip(rows.clone()) {
                match matrix.format {
                    Format::Bf16 => f32::begin(sums, y(row), bf16::start),
                    _ => f32::begin(sums, y(row), |y| y),
                }
            }
        }
        self.kernel.run(weights, x, rows.len(), self.add, tile);
        for (sums, row) in tile.rows.iter().zip(rows) {
            f32::finish(sums, y(row));
        }
    }
}
