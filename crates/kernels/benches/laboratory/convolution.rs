//! Experiment: are fewer multiplications worth the passes that they cost? Compares minimal filtering with windows laid side by
//! side, in the forward pass: 64 sentences of 14 tokens, 512 units, 1024 outputs.

use std::ops::Range;

use kokanee_kernels::conv::minimal::{self, Filtering, PRODUCTS};
use kokanee_kernels::conv::{self, Window};
use kokanee_kernels::pages::Block;
use kokanee_kernels::{Mat, MatMut, Precision, Side, Team, elementwise, gemm, gemm_all};

use crate::{Experiment, PRECISIONS, Way, numbers};

const SENTENCES: u32 = 64;
const LENGTH: u32 = 14;
const UNITS: usize = 512;
const OUTPUTS: usize = 1024;

struct Layer {
    spans: Vec<Range<u32>>,
    window: Window,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    /// Intermediate results, allocated once: training reuses its memory too.
    room: Vec<Block<f32>>,
}

impl Layer {
    /// Takes `N` matrices of the given sizes from `room`. Their content is arbitrary.
    fn matrices<const N: usize>(room: &mut [Block<f32>], sizes: [usize; N]) -> [&mut [f32]; N] {
        let mut room = room.iter_mut();
        sizes.map(|size| room.next().expect("room for each matrix").room(size))
    }
}

pub(crate) fn experiments(team: &Team) -> Vec<Experiment<'_>> {
    let layer = |window: Window| Layer {
        spans: (0..SENTENCES).map(|i| i * LENGTH..(i + 1) * LENGTH).collect(),
        window,
        x: numbers((SENTENCES * LENGTH) as usize * UNITS, 1),
        weight: numbers(OUTPUTS * UNITS * window.width, 2),
        bias: numbers(OUTPUTS, 3),
        room: std::iter::repeat_with(Block::default).take(3 * PRODUCTS + 1).collect(),
    };
    let mut experiments = Vec::new();
    for window in [Window::centred(3), Window::causal(5)] {
        for (name, precision) in PRECISIONS {
            let [mut fewest, mut pairs, mut direct] = std::array::from_fn(|_| layer(window));
            let tolerance = if precision == Precision::F32 { 1e-5 } else { 0.02 };
            experiments.push(Experiment {
                name: format!("convolution of width {}, forwards, in {name}", window.width),
                ways: vec![
                    Way {
                        name: "minimal filtering, as few products as there can be",
                        run: Box::new(move || {
                            filtered(team, precision, Filtering::fewest(window.width), &mut fewest)
                        }),
                        tolerance: 0.0,
                    },
                    Way {
                        name: "minimal filtering, pairs of outputs and threes of taps",
                        run: Box::new(move || {
                            filtered(team, precision, Filtering::pairs(window.width), &mut pairs)
                        }),
                        tolerance,
                    },
                    Way {
                        name: "windows side by side, one product",
                        run: Box::new(move || windows(team, precision, &mut direct)),
                        tolerance,
                    },
                ],
            });
        }
    }
    experiments
}

fn filtered(team: &Team, precision: Precision, filtering: Filtering, layer: &mut Layer) -> Vec<f32> {
    let Layer { spans, window, x, weight, bias, room } = layer;
    let (rows, terms) = (filtering.rows(spans), filtering.terms());
    let inputs = terms.map(|terms| terms * UNITS);
    let (y, room) = room.split_first_mut().expect("room for the result");
    let (for_d, room) = room.split_at_mut(PRODUCTS);
    let (for_g, for_m) = room.split_at_mut(PRODUCTS);
    let stored = |rows: [usize; PRODUCTS]| std::array::from_fn(|i| rows[i] * precision.stored(inputs[i]));
    let m_len = std::array::from_fn(|i| if terms[i] > 0 { rows[i] * OUTPUTS } else { 0 });
    let mut d = Layer::matrices(for_d, stored(rows));
    let mut g = Layer::matrices(for_g, stored([OUTPUTS; PRODUCTS]));
    let mut m = Layer::matrices(for_m, m_len);
    minimal::inputs(team, precision, filtering, spans, *window, UNITS, x, d.each_mut().map(|x| &mut **x));
    minimal::filters(team, precision, filtering, UNITS, weight, g.each_mut().map(|x| &mut **x));
    let mut results = m.iter_mut();
    let products: [_; PRODUCTS] = std::array::from_fn(|i| {
        let m = results.next().expect("one result a product");
        (!m.is_empty()).then(|| {
            let a = Side::stored(precision, d[i], rows[i], inputs[i]);
            let b = Side::stored(precision, g[i], OUTPUTS, inputs[i]).t();
            (MatMut::new(m, rows[i], OUTPUTS), a, b)
        })
    });
    gemm_all(team, precision, 0.0, products);
    let y = y.room(x.len() / UNITS * OUTPUTS);
    minimal::outputs(team, filtering, spans, bias, m.map(|x| &*x), y);
    y[..OUTPUTS].to_vec()
}

fn windows(team: &Team, precision: Precision, layer: &mut Layer) -> Vec<f32> {
    let Layer { spans, window, x, weight, bias, room } = layer;
    let (rows, depth) = (x.len() / UNITS, window.width * UNITS);
    let [laid_out, filters, y] = Layer::matrices(room, [rows * depth, weight.len(), rows * OUTPUTS]);
    conv::windows(team, spans, *window, UNITS, x, laid_out);
    conv::window_filters(team, filters, weight, UNITS, window.width);
    elementwise::fill_rows(team, y, &[bias]);
    let (a, b) = (Mat::new(laid_out, rows, depth), Mat::new(filters, OUTPUTS, depth).t());
    gemm(team, precision, MatMut::new(y, rows, OUTPUTS), 1.0, a, b);
    y[..OUTPUTS].to_vec()
}
