//! Experiment: are large pages worth an allocator of our own? Compares a product and a pass of Adam on operands in large pages, as
//! tensors have them, with the same on the pages that the system gives by default.

use kokanee_kernels::optimizer::adam;
use kokanee_kernels::pages::Block;
use kokanee_kernels::{Mat, MatMut, Precision, Team, gemm};

use crate::{Experiment, RULE, Way, block, numbers};

const ROWS: usize = 860;
const DEPTH: usize = 512;
const COLS: usize = 18_726;

pub(crate) fn experiments(team: &Team) -> Vec<Experiment<'_>> {
    vec![
        Experiment {
            name: "product of the output layer in bf16".to_owned(),
            ways: vec![
                Way {
                    name: "in large pages",
                    run: Box::new({
                        let (a, b) = (block(ROWS * DEPTH, 1), block(COLS * DEPTH, 2));
                        let mut c = Block::zeros(ROWS * COLS);
                        move || product(team, &a, &b, &mut c)
                    }),
                    tolerance: 0.0,
                },
                Way {
                    name: "in pages as they come",
                    run: Box::new({
                        let (a, b) = (numbers(ROWS * DEPTH, 1), numbers(COLS * DEPTH, 2));
                        let mut c = vec![0.0; ROWS * COLS];
                        move || product(team, &a, &b, &mut c)
                    }),
                    tolerance: 0.0,
                },
            ],
        },
        Experiment {
            name: "Adam on 9.6 million weights".to_owned(),
            ways: vec![
                Way {
                    name: "in large pages",
                    run: Box::new({
                        let gradient = block(COLS * DEPTH, 1);
                        let mut state = [(); 3].map(|()| Block::zeros(COLS * DEPTH));
                        move || update(team, state.each_mut().map(|x| &mut x[..]), &gradient)
                    }),
                    tolerance: 0.0,
                },
                Way {
                    name: "in pages as they come",
                    run: Box::new({
                        let gradient = numbers(COLS * DEPTH, 1);
                        let mut state = [(); 3].map(|()| vec![0.0; COLS * DEPTH]);
                        move || update(team, state.each_mut().map(|x| &mut x[..]), &gradient)
                    }),
                    tolerance: 0.0,
                },
            ],
        },
    ]
}

fn product(team: &Team, a: &[f32], b: &[f32], c: &mut [f32]) -> Vec<f32> {
    let (a, b) = (Mat::new(a, ROWS, DEPTH), Mat::new(b, COLS, DEPTH).t());
    gemm(team, Precision::Bf16, MatMut::new(c, ROWS, COLS), 0.0, a, b);
    c[..COLS].to_vec()
}

fn update(team: &Team, [weight, m, v]: [&mut [f32]; 3], gradient: &[f32]) -> Vec<f32> {
    adam(team, RULE, weight, m, v, Some(gradient));
    weight[..DEPTH].to_vec()
}
