//! Are fewer multiplications worth the passes that they cost? Minimal filtering beside windows laid side by side, forwards: 64
//! sentences of 14 tokens, 512 units, 1024 outputs.

use std::ops::Range;

use kokanee_kernels::conv::minimal::{self, Chunks, PRODUCTS};
use kokanee_kernels::conv::{self, Window};
use kokanee_kernels::{Mat, MatMut, Precision, Team, elementwise, gemm};

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
}

pub(crate) fn experiments(team: &Team) -> Vec<Experiment<'_>> {
    let layer = |window: Window| Layer {
        spans: (0..SENTENCES).map(|i| i * LENGTH..(i + 1) * LENGTH).collect(),
        window,
        x: numbers((SENTENCES * LENGTH) as usize * UNITS, 1),
        weight: numbers(OUTPUTS * UNITS * window.width, 2),
        bias: numbers(OUTPUTS, 3),
    };
    let mut experiments = Vec::new();
    for window in [Window::centred(3), Window::causal(5)] {
        for (name, precision) in PRECISIONS {
            let (shipped, direct) = (layer(window), layer(window));
            experiments.push(Experiment {
                name: format!("convolution of width {}, forwards, in {name}", window.width),
                ways: vec![
                    Way {
                        name: "minimal filtering, pairs of outputs",
                        run: Box::new(move || in_pairs(team, precision, &shipped)),
                        tolerance: 0.0,
                    },
                    Way {
                        name: "windows side by side, one product",
                        run: Box::new(move || windows(team, precision, &direct)),
                        tolerance: if precision == Precision::F32 { 1e-5 } else { 0.02 },
                    },
                ],
            });
        }
    }
    experiments
}

fn in_pairs(team: &Team, precision: Precision, layer: &Layer) -> Vec<f32> {
    let Layer { spans, window, x, weight, bias } = layer;
    let (pairs, terms) = (minimal::pairs(spans), Chunks::of(window.width).terms());
    let matrices = |rows: usize, cols: [usize; PRODUCTS]| cols.map(|cols| vec![0.0; rows * cols]);
    let inputs = terms.map(|terms| terms * UNITS);
    let (mut d, mut g) = (matrices(pairs, inputs), matrices(OUTPUTS, inputs));
    let mut m = matrices(pairs, terms.map(|terms| if terms > 0 { OUTPUTS } else { 0 }));
    minimal::inputs(team, spans, *window, UNITS, x, d.each_mut().map(|x| &mut x[..]));
    minimal::filters(team, window.width, UNITS, weight, g.each_mut().map(|x| &mut x[..]));
    for (((m, d), g), depth) in m.iter_mut().zip(&d).zip(&g).zip(inputs).filter(|(_, depth)| *depth > 0) {
        let (a, b) = (Mat::new(d, pairs, depth), Mat::new(g, OUTPUTS, depth).t());
        gemm(team, precision, MatMut::new(m, pairs, OUTPUTS), 0.0, a, b);
    }
    let mut y = vec![0.0; x.len() / UNITS * OUTPUTS];
    minimal::outputs(team, spans, bias, m.each_ref().map(|x| &x[..]), &mut y);
    y
}

fn windows(team: &Team, precision: Precision, layer: &Layer) -> Vec<f32> {
    let Layer { spans, window, x, weight, bias } = layer;
    let (rows, depth) = (x.len() / UNITS, window.width * UNITS);
    let mut laid_out = vec![0.0; rows * depth];
    conv::windows(team, spans, *window, UNITS, x, &mut laid_out);
    let mut filters = vec![0.0; weight.len()];
    conv::window_filters(team, &mut filters, weight, UNITS, window.width);
    let mut y = vec![0.0; rows * OUTPUTS];
    elementwise::fill_rows(team, &mut y, &[bias]);
    let (a, b) = (Mat::new(&laid_out, rows, depth), Mat::new(&filters, OUTPUTS, depth).t());
    gemm(team, precision, MatMut::new(&mut y, rows, OUTPUTS), 1.0, a, b);
    y
}
