//! Experiment: should a weight be updated while its gradient is multiplied? Compares the whole gradient of the output layer
//! followed by Adam with blocks of rows that are updated one by one while they lie in cache.
//!
//! A finer way, with Adam on each piece of the gradient as it leaves the multipliers, was tried inside the kernels and lost by
//! more: training in bf16 became 1 to 2.6% slower on Zen 4.

use std::cell::RefCell;
use std::rc::Rc;

use kokanee_kernels::optimizer::adam;
use kokanee_kernels::pages::Block;
use kokanee_kernels::{Mat, MatMut, Precision, Team, gemm};

use crate::{Experiment, PRECISIONS, RULE, Way, block};

const ROWS: usize = 18_726;
const WIDTH: usize = 512;
const TOKENS: usize = 860;

/// A weight with its moments, and the factors of its gradient: d logits T x V, hidden T x H.
struct Training {
    weight: Block<f32>,
    m: Block<f32>,
    v: Block<f32>,
    gradient: Block<f32>,
    d_logits: Block<f32>,
    hidden: Block<f32>,
}

pub(crate) fn experiments(team: &Team) -> Vec<Experiment<'_>> {
    let training = Rc::new(RefCell::new(Training {
        weight: Block::zeros(ROWS * WIDTH),
        m: Block::zeros(ROWS * WIDTH),
        v: Block::zeros(ROWS * WIDTH),
        gradient: Block::zeros(ROWS * WIDTH),
        d_logits: block(TOKENS * ROWS, 1),
        hidden: block(TOKENS * WIDTH, 2),
    }));
    let experiment = |(name, precision): (&str, Precision)| {
        let way = |name, rows: usize| {
            let training = Rc::clone(&training);
            let run = Box::new(move || training.borrow_mut().update(team, precision, rows));
            // The sums are the same, and so are the bits, except where a row's place in its block decides which kernel adds up.
            Way { name, run: run as Box<dyn FnMut() -> Vec<f32>>, tolerance: 1e-5 }
        };
        Experiment {
            name: format!("update of the output layer's weight, in {name}"),
            ways: vec![
                way("the gradient, then Adam", ROWS),
                way("blocks of 3072 rows, 6 MiB of gradient", 3072),
                way("blocks of 384 rows, 0.75 MiB of gradient", 384),
            ],
        }
    };
    PRECISIONS.into_iter().map(experiment).collect()
}

impl Training {
    /// Makes one update from the beginning, `rows` rows at a time. Returns the first rows of the result.
    fn update(&mut self, team: &Team, precision: Precision, rows: usize) -> Vec<f32> {
        let Training { weight, m, v, gradient, d_logits, hidden } = self;
        // Each way makes the same update, the first.
        for part in [&mut weight[..WIDTH], &mut m[..WIDTH], &mut v[..WIDTH]] {
            part.fill(0.0);
        }
        for first in (0..ROWS).step_by(rows) {
            let count = rows.min(ROWS - first);
            let part = first * WIDTH..(first + count) * WIDTH;
            // The gradients of all blocks use the same memory.
            let gradient = &mut gradient[..count * WIDTH];
            let a = Mat::strided(&d_logits[first..], TOKENS, count, ROWS).t();
            let b = Mat::new(hidden, TOKENS, WIDTH);
            gemm(team, precision, MatMut::new(gradient, count, WIDTH), 0.0, a, b);
            let (weight, m, v) = (&mut weight[part.clone()], &mut m[part.clone()], &mut v[part]);
            adam(team, RULE, weight, m, v, Some(gradient));
        }
        weight[..WIDTH].to_vec()
    }
}
