//! Products `y = x W'` with a weight that is laid out once and multiplied many times, in `f32`, bf16 or int8.
//!
//! Each row of `y` depends on its own row of `x` alone, to the last bit: not on how many rows there are, where it stands among
//! them, or how many threads share the work. This lets a server decode sentences together and still give each the answer that it
//! would get alone. It holds because every output is one sum over the inputs, in their order, in its own accumulator; tiles, panels
//! and threads only choose which sums run side by side.
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
//! A panel holds 64 outputs. For each group of inputs (1 for f32, 2 for bf16, 4 for int8: as many as fit 32 bits) it has one word
//! per output, so a step of a kernel multiplies one word of `x`, spread over the lanes, with four registers of weights.

#[cfg(test)]
mod reference;
mod run;
mod table;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::super::threads::{SharedMut, Team};
use super::int8::Quantised;
use super::kernel::{Kernel, LANES, LINES, Line, PANEL};
use super::layout::{self, Entry};
use super::memory::Entries;
use super::{Mat, f32, int8};
use run::{Factor, Product};

pub use super::format::Format;
pub use table::Table;

/// A weight matrix laid out for products.
pub struct PackedMatrix {
    format: Format,
    kernel: Kernel,
    outputs: usize,
    inputs: usize,
    /// One panel after the other, each with one entry per group of inputs.
    panels: Entries,
    /// The scales and offsets of int8 for each line of outputs; empty for the other formats.
    quantised: Vec<Quantised>,
}

/// The largest number of terms of a sum: those that a step of a recurrence adds up.
pub const MOST_TERMS: usize = 4;
impl PackedMatrix {
    /// Lays out `weight`: outputs x inputs, as model weights are stored, or a transposed view of inputs x outputs.
    pub fn pack(team: &Team, format: Format, weight: Mat<'_>) -> PackedMatrix {
        let (outputs, inputs) = (weight.rows, weight.cols);
        let most = format.most_inputs().unwrap_or(usize::MAX);
        assert!(inputs <= most, "{inputs} inputs, of which sums in {format:?} may have {most}");
        let entries = outputs.div_ceil(PANEL) * format.groups(inputs);
        let mut packed = PackedMatrix::with(format, outputs, inputs, Entries::scratch(entries));
        let groups = packed.groups();
        let panels = SharedMut::new(&mut packed.panels);
        let quantised = SharedMut::new(&mut packed.quantised);
        team.split(outputs.div_ceil(PANEL), 1, |range| {
            let mut scratch = layout::Scratch::default();
            // SAFETY: `split` gives each thread its own panels.
            let panels = unsafe { panels.slice(range.start * groups..range.end * groups) };
            if format == Format::Int8 {
                for (panel, index) in panels.chunks_exact_mut(groups.max(1)).zip(range) {
                    let rows = index * PANEL..((index + 1) * PANEL).min(outputs);
                    // SAFETY: as above: the outputs of this thread's panels.
                    let scales = unsafe { quantised.slice(index * LINES..(index + 1) * LINES) };
                    quantise(weight, rows, panel, scales);
                }
            } else {
                layout::panels(format, weight.t().into(), 0..inputs, range, panels, &mut scratch);
            }
        });
        packed
    }

    /// A matrix of zeros.
    fn empty(format: Format, outputs: usize, inputs: usize) -> PackedMatrix {
        let entries = outputs.div_ceil(PANEL) * format.groups(inputs);
        PackedMatrix::with(format, outputs, inputs, Entries::zeros(entries))
    }

    fn with(format: Format, outputs: usize, inputs: usize, panels: Entries) -> PackedMatrix {
        let quantised = if format == Format::Int8 { outputs.div_ceil(PANEL) * LINES } else { 0 };
        PackedMatrix {
            format,
            kernel: format.kernel(),
            outputs,
            inputs,
            panels,
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

    /// Bytes of memory that the weights take.
    pub fn bytes(&self) -> usize {
        size_of_val(&self.panels[..]) + size_of_val(&self.quantised[..])
    }

    /// The number of groups of inputs: words of a row of `x`.
    fn groups(&self) -> usize {
        self.format.groups(self.inputs)
    }

    /// The same matrix with only these outputs, in this order (for vocabulary shortlists): every product is bit-equal to the same
    /// output of the whole matrix. An output may occur twice.
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

    /// Computes `y = beta y + x W'`: `y` (m x outputs) and `x` (m x inputs) are row-major and dense; `beta` is 0 (`y` is
    /// overwritten, whatever it held) or 1.
    pub fn multiply(&self, team: &Team, x: &[f32], y: &mut [f32], beta: f32) {
        sum_by(None, team, &[(self, x)], y, beta);
    }

    /// The factor `x`, with so many rows, for products with this matrix.
    fn factor<'a>(&self, x: &'a [f32], rows: usize) -> Factor<'a> {
        assert_eq!(x.len(), rows * self.inputs, "x has as many rows as y");
        Factor { x, inputs: self.inputs, format: self.format }
    }

    /// A product with the first factor, by the given kernel or by this matrix's own.
    fn product(&self, kernel: Option<Kernel>, y: SharedMut<f32>, add: bool) -> Product<'_> {
        Product { matrix: self, kernel: kernel.unwrap_or(self.kernel), factor: 0, y, add }
    }

    #[cfg(test)]
    fn multiply_by(&self, kernel: Kernel, team: &Team, x: &[f32], y: &mut [f32], beta: f32) {
        sum_by(Some(kernel), team, &[(self, x)], y, beta);
    }
}

/// Computes `y = beta y + sum over the terms of x W'`, bit for bit as [`PackedMatrix::multiply`] would for one term after the
/// other, but with one synchronisation of the threads. All matrices have the same outputs; at most [`MOST_TERMS`] terms.
pub fn multiply_sum(team: &Team, terms: &[(&PackedMatrix, &[f32])], y: &mut [f32], beta: f32) {
    sum_by(None, team, terms, y, beta);
}

/// Computes the sum by the given kernel, or by that of each matrix.
fn sum_by(kernel: Option<Kernel>, team: &Team, terms: &[(&PackedMatrix, &[f32])], y: &mut [f32], beta: f32) {
    assert!(beta == 0.0 || beta == 1.0, "beta is 0 or 1");
    assert!(terms.len() <= MOST_TERMS, "{} terms, of which there may be {MOST_TERMS}", terms.len());
    terms.iter().for_each(|(matrix, _)| super::super::work::count_product(y.len(), matrix.inputs));
    let Some(&(first, x)) = terms.first().filter(|_| !y.is_empty()) else { return };
    let outputs = first.outputs;
    assert!(outputs > 0 && y.len().is_multiple_of(outputs), "y has whole rows");
    let rows = y.len() / outputs;
    let y = SharedMut::new(y);
    let mut factors = [first.factor(x, rows); MOST_TERMS];
    let mut products = [first.product(kernel, y, beta != 0.0); MOST_TERMS];
    for (number, &(matrix, x)) in terms.iter().enumerate() {
        assert_eq!(matrix.outputs, outputs, "terms of a sum have the same outputs");
        factors[number] = matrix.factor(x, rows);
        let product = matrix.product(kernel, y, beta != 0.0 || number > 0);
        products[number] = Product { factor: number, ..product };
    }
    run::run(team, &factors[..terms.len()], &products[..terms.len()], rows);
}

/// Computes `y = beta y + x W'` for several weights and one `x`, bit for bit as [`PackedMatrix::multiply`] would for each of them,
/// but with one synchronisation of the threads. All matrices have the same inputs and format; at most [`MOST_TERMS`] products.
pub fn multiply_each(team: &Team, x: &[f32], products: &mut [(&PackedMatrix, &mut [f32], f32)]) {
    let count = products.len();
    assert!(count <= MOST_TERMS, "{count} products, of which there may be {MOST_TERMS}");
    let Some((first, y, _)) = products.first_mut() else { return };
    let (first, inputs, format) = (*first, first.inputs, first.format);
    assert!(inputs > 0 && x.len().is_multiple_of(inputs), "x has whole rows");
    let rows = x.len() / inputs;
    let factor = first.factor(x, rows);
    let mut all = [first.product(None, SharedMut::new(y), false); MOST_TERMS];
    for (slot, (matrix, y, beta)) in all.iter_mut().zip(products) {
        assert!(*beta == 0.0 || *beta == 1.0, "beta is 0 or 1");
        assert!(matrix.inputs == inputs && matrix.format == format, "products of one x have the same inputs");
        assert_eq!(y.len(), rows * matrix.outputs, "y has as many rows as x");
        super::super::work::count_product(y.len(), inputs);
        *slot = matrix.product(None, SharedMut::new(y), *beta != 0.0);
    }
    run::run(team, &[factor], &all[..count], rows);
}

/// The line and lane of an output in its panel.
fn place(output: usize) -> (usize, usize) {
    (output % PANEL / LANES, output % LANES)
}

/// Lays out the panel of the outputs `rows` in int8, each with its own scale.
fn quantise(weight: Mat<'_>, rows: Range<usize>, panel: &mut [Entry], scales: &mut [Quantised]) {
    let groups = panel.len();
    let mut row = vec![0.0; weight.cols];
    let mut words = vec![0; LANES * groups];
    for ((line, first), quantised) in rows.clone().step_by(LANES).enumerate().zip(scales) {
        let outputs = first..rows.end.min(first + LANES);
        for (lane, output) in outputs.clone().enumerate() {
            let words = &mut words[lane * groups..(lane + 1) * groups];
            row.iter_mut().enumerate().for_each(|(input, x)| *x = weight.get(output, input));
            quantised.scale[lane] = int8::words(&row, int8::WEIGHT, words);
            quantised.offset[lane] = int8::offset(words);
        }
        layout::lines_of_rows(words.chunks_exact(groups.max(1)).take(outputs.len()), panel, line);
    }
    let used = rows.len().div_ceil(LANES);
    panel.iter_mut().for_each(|entry| entry[used..].fill(Line::ZERO));
}
