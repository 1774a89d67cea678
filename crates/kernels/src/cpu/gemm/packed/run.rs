//! The execution of products: rows of `x` in the format of the weights, and threads that share the work.

use std::cell::Cell;
use std::ops::Range;

use super::super::super::threads::{SharedMut, Team, share};
use super::super::kernel::{Kernel, PANEL, ROWS};
use super::super::tiles::{Output, Panels, Part, Rows, SMALL, Scales, Start};
use super::super::{bf16, f32, int8};
use super::{Format, MOST_TERMS, PackedMatrix};

/// The least number of elements of `x` that a thread converts: in the time that it takes to call for another thread.
const CONVERSION_GRAIN: usize = 1 << 16;
/// From this many panels per thread on, whole panels split evenly enough.
const MANY_PANELS: usize = 16;

/// The first factor of products: dense rows.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    /// The format of the weights.
    pub(super) format: Format,
}

/// One product.
#[derive(Clone, Copy)]
pub(super) struct Product<'a> {
    pub(super) matrix: &'a PackedMatrix,
    pub(super) kernel: Kernel,
    /// Index of the factor.
    pub(super) factor: usize,
    pub(super) y: SharedMut<f32>,
    /// Whether the product is added to `y`.
    pub(super) add: bool,
}

/// The rows of a factor in the format of the weights.
#[derive(Clone, Copy)]
struct Input<'a> {
    /// One word per group of inputs.
    words: &'a [u32],
    /// For int8, the value of the integer 1 in each row.
    scales: &'a [f32],
}

/// Buffers for the rows of a factor.
#[derive(Default)]
struct Scratch {
    words: Vec<u32>,
    scales: Vec<f32>,
}

thread_local! {
    /// Kept between products, of which decoding computes thousands per second.
    static SCRATCH: Cell<[Scratch; MOST_TERMS]> = const { Cell::new([const { Scratch::EMPTY }; MOST_TERMS]) };
}

/// Computes the products. Several may add to the same `y` only if they have the same number of outputs. Threads share the panels of
/// each, or the rows if some have too few panels to split evenly.
pub(super) fn run(team: &Team, factors: &[Factor<'_>], products: &[Product<'_>], rows: usize) {
    let steps = products.iter().map(|p| p.matrix.groups() * p.panels() * PANEL).sum::<usize>() * rows;
    let threads = team.size();
    if steps < SMALL || threads == 1 {
        with_inputs(None, factors, 0..rows, |inputs| {
            products.iter().for_each(|product| product.part(inputs, 0..product.panels(), 0..rows));
        });
    } else if rows < 2 * ROWS * threads || products.iter().all(|p| p.panels() >= MANY_PANELS * threads) {
        with_inputs(Some(team), factors, 0..rows, |inputs| {
            team.run(|thread| {
                for product in products {
                    product.part(inputs, share(product.panels(), threads, thread), 0..rows);
                }
            });
        });
    } else {
        team.split(rows, ROWS, |rows| {
            with_inputs(None, factors, rows.clone(), |inputs| {
                products.iter().for_each(|product| product.part(inputs, 0..product.panels(), rows.clone()));
            });
        });
    }
}

/// Calls `work` with some rows of every factor, converted by this thread or, where they are many, by the team.
fn with_inputs(
    team: Option<&Team>,
    factors: &[Factor<'_>],
    rows: Range<usize>,
    work: impl FnOnce(&[Input<'_>; MOST_TERMS]),
) {
    let mut scratch = SCRATCH.take();
    let mut inputs = [Input { words: &[], scales: &[] }; MOST_TERMS];
    for ((input, factor), scratch) in inputs.iter_mut().zip(factors).zip(&mut scratch) {
        *input = scratch.convert(team, factor, rows.clone());
    }
    work(&inputs);
    SCRATCH.set(scratch);
}

impl Factor<'_> {
    /// Converts some rows, each to its words and, for int8, its scale.
    fn convert(&self, rows: Range<usize>, words: &mut [u32], scales: &mut [f32]) {
        let groups = self.format.groups(self.inputs).max(1);
        let x = &self.x[rows.start * self.inputs..rows.end * self.inputs];
        for ((x, words), scale) in x.chunks(self.inputs.max(1)).zip(words.chunks_mut(groups)).zip(scales) {
            match self.format {
                Format::Int8 => *scale = int8::words(x, int8::INPUT, words),
                _ => bf16::words(x, words),
            }
        }
    }
}

impl Scratch {
    const EMPTY: Scratch = Scratch { words: Vec::new(), scales: Vec::new() };

    fn convert<'s>(&'s mut self, team: Option<&Team>, factor: &Factor<'s>, rows: Range<usize>) -> Input<'s> {
        let Factor { x, inputs, format } = *factor;
        if format == Format::F32 {
            return Input { words: &f32::words(x)[rows.start * inputs..rows.end * inputs], scales: &[] };
        }
        let (count, groups) = (rows.len(), format.groups(inputs));
        self.words.resize((count * groups).max(self.words.len()), 0);
        self.scales.resize(count.max(self.scales.len()), 0.0);
        let (words, scales) = (&mut self.words[..count * groups], &mut self.scales[..count]);
        match team {
            None => factor.convert(rows, words, scales),
            Some(team) => {
                let (words, scales) = (SharedMut::new(words), SharedMut::new(scales));
                team.split(count, (CONVERSION_GRAIN / inputs.max(1)).max(1), |part| {
                    // SAFETY: `split` gives each thread its own rows.
                    let (words, scales) = unsafe {
                        (words.slice(part.start * groups..part.end * groups), scales.slice(part.clone()))
                    };
                    factor.convert(rows.start + part.start..rows.start + part.end, words, scales);
                });
            }
        }
        Input { words: &self.words[..count * groups], scales: &self.scales[..count] }
    }
}

impl Product<'_> {
    fn panels(&self) -> usize {
        self.matrix.outputs.div_ceil(PANEL)
    }

    /// Computes the product of some panels with some rows of `y`. `inputs` are the rows of `x` for those.
    fn part(&self, inputs: &[Input<'_>; MOST_TERMS], panels: Range<usize>, rows: Range<usize>) {
        let (matrix, x) = (self.matrix, inputs[self.factor]);
        let scales = || Scales { outputs: &matrix.quantised, rows: x.scales };
        let part = Part {
            kernel: self.kernel,
            x: Rows { words: x.words, stride: matrix.groups() },
            panels: Panels { entries: &matrix.panels, groups: matrix.groups() },
            output: Output { data: self.y, stride: matrix.outputs, cols: matrix.outputs },
            first_row: rows.start,
            first_panel: 0,
            start: match (self.add, matrix.format) {
                (false, _) => Start::Zero,
                (true, Format::Bf16) => Start::OutputFlushed,
                (true, _) => Start::Output,
            },
            scales: (matrix.format == Format::Int8).then(scales),
        };
        part.multiply(panels, 0..rows.len());
    }
}
